import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@understudy/harness/until';
import type { Explanation } from '@understudy/pipeline/explain/explain-read';
import { type Api, call, readOf, startApi } from './api-rig.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api?.stop());

async function explain(
  payload: object,
  ...flags: readonly string[]
): Promise<Explanation & { code: number | null }> {
  const { code, stdout, stderr } = await api.understudy(
    'explain',
    JSON.stringify(payload),
    '--json',
    ...flags,
  );
  assert.notEqual(stdout, '', stderr);
  return { ...(JSON.parse(stdout) as Explanation), code };
}

test('a read that the replica answers: statement, parameters, plan and time', async () => {
  const read = readOf('Shot', ['code', 'sg_sequence.Sequence.code'], [['code', 'contains', "it's"]]);
  const { isAnswered, reason, statement, code } = await explain(read, '--analyze');
  assert.deepEqual({ isAnswered, reason, code }, { isAnswered: true, reason: null, code: 0 });
  assert.match(statement?.sql ?? '', /^select /);
  assert.deepEqual(statement?.params, ["it's"]);
  assert.match(statement?.plan.join('\n') ?? '', /actual time/);
  assert.equal((await call(api.readerUrl, 'read', read)).headers['x-understudy'], 'replica');
});

test('a whole request, of a summarize', async () => {
  const summary = {
    type: 'Task',
    summaries: [{ field: 'id', type: 'count' }],
    filters: { logical_operator: 'and', conditions: [] },
    grouping: [{ field: 'entity', type: 'exact', direction: 'asc' }],
  };
  const request = { method_name: 'summarize', params: [{ script_name: 's', script_key: 'k' }, summary] };
  const { method, isAnswered } = await explain(request);
  assert.deepEqual({ method, isAnswered }, { method: 'summarize', isAnswered: true });
});

test('why the site answers, in the words of the reader’s header', async () => {
  for (const read of [readOf('Shot', ['no_such_field']), readOf('EventLogEntry', ['event_type'])]) {
    const { isAnswered, reason, code } = await explain(read);
    assert.deepEqual({ isAnswered, code }, { isAnswered: false, code: 1 });
    // In its first second a reader does not know yet how the site describes its event log.
    const header = await until('the reader knows its schema', async () => {
      const source = (await call(api.readerUrl, 'read', read)).headers['x-understudy'];
      return source === 'site; reason=type-not-ready' ? null : source;
    });
    assert.equal(header, `site; reason=${reason?.replaceAll(' ', '-')}`);
  }
});

test('what is no payload is said so', async () => {
  const { code, stderr } = await api.understudy('explain', '{"type":');
  assert.equal(code, 64);
  assert.match(stderr, /not JSON/);
});

test('a filter a hundred groups deep gets the site’s own refusal, a deeper one ours, and the reader goes on', async () => {
  const deep = (levels: number): string => {
    const [open, close] = ['{"logical_operator":"and","conditions":[', ']}'];
    return open.repeat(levels) + close.repeat(levels);
  };
  for (const levels of [100, 400, 10_000]) {
    const payload = `{"type":"Shot","return_fields":["id"],"paging":{"entities_per_page":1,"current_page":1},"filters":${deep(levels)}}`;
    const body = `{"method_name":"read","params":[{"script_name":"pipeline","script_key":"pipeline-key"},${payload}]}`;
    const ask = async (url: string): Promise<{ status: number; text: string; source: string | null }> => {
      const reply = await fetch(`${url}/api3/json`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      return { status: reply.status, text: await reply.text(), source: reply.headers.get('x-understudy') };
    };
    const ours = await ask(api.readerUrl);
    if (levels > 500) {
      assert.equal(ours.status, 200);
      assert.match(ours.text, /"exception":true,"message":"Understudy: the request nests deeper/);
      continue;
    }
    const theirs = await ask(api.siteUrl);
    assert.equal(ours.source, 'site; reason=filter-too-large', `${levels} levels`);
    assert.deepEqual([ours.status, ours.text], [theirs.status, theirs.text]);
  }
  assert.equal(
    (await call(api.readerUrl, 'read', readOf('Shot', ['code']))).headers['x-understudy'],
    'replica',
  );
});
