import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, call, entitiesOf, readOf, SCRIPT, send, startApi } from './api-rig.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api?.stop());

const found = async (): Promise<number> => {
  const { text } = await send(`${api.readerUrl}/metrics`);
  return Number(/^understudy_reader_known_reads_found (\d+)$/m.exec(text)?.[1]);
};
const one = (id: number): object =>
  readOf('Shot', ['code', 'project'], [['id', 'is', id]], {
    paging: { entities_per_page: 1, current_page: 1 },
  });

test('reads that differ in an id are known from the third on, and answered as the site answers', async () => {
  const shots = entitiesOf(await call(api.siteUrl, 'read', readOf('Shot', ['code'])));
  const ids = [...shots.slice(0, 20).map(({ id }) => id), 999_999_999, 1_000_000_000];
  const before = await found();
  for (const id of ids) {
    const [ours, theirs] = await Promise.all(
      [api.readerUrl, api.siteUrl].map((url) => call(url, 'read', one(id))),
    );
    assert.equal(ours?.headers['x-understudy'], 'replica');
    assert.deepEqual(ours.json, theirs?.json);
  }
  // The last is too large to be taken for an id like the others.
  assert.equal((await found()) - before, ids.length - 3);
});

test('another key, and another page, are other requests', async () => {
  const page = (number: number): object =>
    readOf('Task', ['content'], [], { paging: { entities_per_page: 7, current_page: number } });
  for (const number of [1, 1, 1, 2, 3, 2, 2, 3, 3, 1]) {
    const [ours, theirs] = await Promise.all(
      [api.readerUrl, api.siteUrl].map((url) => call(url, 'read', page(number))),
    );
    assert.equal(ours?.headers['x-understudy'], 'replica');
    assert.deepEqual(ours.json, theirs?.json, `page ${number}`);
  }
  for (const auth of [
    { ...SCRIPT, script_key: 'wrong' },
    { ...SCRIPT, more: 5 },
    { ...SCRIPT, more: 6 },
  ]) {
    const [ours, theirs] = await Promise.all(
      [api.readerUrl, api.siteUrl].map((url) => call(url, 'read', page(1), auth)),
    );
    assert.deepEqual(ours?.json, theirs?.json);
  }
});

test('what is written is seen by the next read, also by one that is known', async () => {
  const [shot] = entitiesOf(await call(api.siteUrl, 'read', readOf('Shot', ['code'])));
  assert.ok(shot);
  for (let number = 1; number <= 6; number += 1) {
    const code = `known ${number}`;
    const fields = [{ field_name: 'code', value: code }];
    await call(api.readerUrl, 'update', { type: 'Shot', id: shot.id, fields });
    const [row] = entitiesOf(await call(api.readerUrl, 'read', one(shot.id)));
    assert.equal(row?.['code'], code);
  }
});
