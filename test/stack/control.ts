import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Stack } from '@understudy/harness/stack';
import { until } from '@understudy/harness/until';
import { messageNamed } from '@understudy/runtime/control/messages/all';
import { type Reply as Answer, sendAndWait } from '@understudy/runtime/control/send';
import { sign } from '@understudy/runtime/control/signature';
import { answersTo, sendMessage } from '@understudy/store/control-messages';
import { databaseTime } from '@understudy/store/site-schema';
import pg from 'pg';

const SECRET = 'control-test-secret';
export const CONTROL_ENVIRONMENT = { UNDERSTUDY_CONTROL_SECRET: SECRET };

type Reply = Pick<Answer, 'service' | 'outcome' | 'said'>;

/** Messages to running services, with real processes. */
export function controlTests(stackOf: () => Stack): void {
  describe('messages to services', () => {
    let stack: Stack;
    let database: pg.Client;

    const tell = async (service: string, name: string, argument = ''): Promise<readonly Reply[]> => {
      const kind = messageNamed(name);
      assert.ok(kind);
      const signal = AbortSignal.timeout(60_000);
      const timeoutMs = 30_000;
      return sendAndWait(database, { secret: SECRET, service, kind, argument, timeoutMs, signal });
    };
    const outcomes = (replies: readonly Reply[]): Record<string, string> =>
      Object.fromEntries(replies.map((reply) => [reply.service, reply.outcome]));
    const state = async (service: string): Promise<string | undefined> => {
      const sql = 'select state from understudy.service where service = $1 order by seen_at desc limit 1';
      const { rows } = await database.query<{ state: string }>(sql, [service]);
      return rows[0]?.state;
    };
    const createNote = async (subject: string): Promise<number> => {
      const note = (await stack.call(stack.siteUrl, 'create', {
        type: 'Note',
        fields: [
          { field_name: 'subject', value: subject },
          { field_name: 'project', value: { type: 'Project', id: 1 } },
        ],
        return_fields: ['id'],
      })) as { id: number };
      return note.id;
    };
    const subjectInReplica = async (id: number): Promise<string | undefined> => {
      const { rows } = await database.query<{ subject: string }>(
        'select subject from site.note where id = $1',
        [id],
      );
      return rows[0]?.subject;
    };

    before(async () => {
      stack = stackOf();
      database = new pg.Client({ connectionString: stack.databaseUrl });
      database.on('error', () => {
        // The server is stopped after the test.
      });
      await database.connect();
    });
    after(async () => {
      await database?.end();
    });

    test('every instance answers a ping, and the command shows it', async () => {
      const { code, stdout } = await stack.understudy('--json', 'ctl', 'all', 'ping', '--timeout', '60');
      assert.equal(code, 0, stdout);
      assert.deepEqual(outcomes(JSON.parse(stdout) as readonly Reply[]), {
        'api-reader': 'done',
        applier: 'done',
        'event-poller': 'done',
        'retirement-reprocessor': 'done',
        scanner: 'done',
      });
    });

    test('a paused scanner ends what it has begun, and scans nothing', async () => {
      assert.deepEqual(outcomes(await tell('scanner', 'pause')), { scanner: 'done' });
      await until('the scanner says that it is paused', async () => (await state('scanner')) === 'paused');
      const begun = `select from understudy.scan_chunk where state = 'open' and claimed_until > now()`;
      await until('what it had begun is done', async () => (await database.query(begun)).rowCount === 0);
    });

    // While nothing is scanned, what is not heard of by an event is not known.
    test('a paused applier applies nothing, also after a restart, and goes on when told to', async () => {
      assert.deepEqual(outcomes(await tell('applier', 'pause')), { applier: 'done' });
      await until('the applier says that it is paused', async () => (await state('applier')) === 'paused');
      const id = await createNote('made while paused');
      const stored = 'select from understudy.open_event where error is null';
      await until('its events are stored', async () => ((await database.query(stored)).rowCount ?? 0) > 0);
      await stack.process('applier').end('SIGKILL');
      await database.query(`delete from understudy.service where service = 'applier'`);
      stack.process('applier').start();
      await until('the new one is paused as well', async () => (await state('applier')) === 'paused', {
        timeoutMs: 60_000,
      });
      assert.equal(await subjectInReplica(id), undefined);
      assert.deepEqual(outcomes(await tell('applier', 'resume')), { applier: 'done' });
      await until('the note arrives', async () => (await subjectInReplica(id)) === 'made while paused');
    });

    test('a paused poller reads nothing; a resume makes it read at once', async () => {
      assert.deepEqual(outcomes(await tell('event-poller', 'pause')), { 'event-poller': 'done' });
      const id = await createNote('made while not polled');
      assert.deepEqual(outcomes(await tell('event-poller', 'poll')), { 'event-poller': 'nothing' });
      assert.equal(await subjectInReplica(id), undefined);
      assert.deepEqual(outcomes(await tell('event-poller', 'resume')), { 'event-poller': 'done' });
      await until('the note arrives', async () => (await subjectInReplica(id)) === 'made while not polled');
      assert.deepEqual(outcomes(await tell('scanner', 'resume')), { scanner: 'done' });
    });

    test('a poll makes it read at once; what does not concern a service is said', async () => {
      const id = await createNote('read when told to');
      assert.deepEqual(outcomes(await tell('all', 'poll')), {
        'api-reader': 'nothing',
        applier: 'nothing',
        'event-poller': 'done',
        'retirement-reprocessor': 'nothing',
        scanner: 'nothing',
      });
      await until('the note arrives', async () => (await subjectInReplica(id)) === 'read when told to');
      assert.deepEqual(outcomes(await tell('api-reader', 'pause')), { 'api-reader': 'nothing' });
    });

    test('a field is added while everything runs, and is served soon', async () => {
      const read = async (): Promise<string | null> => {
        const reply = await fetch(`${stack.readerUrl}/api3/json`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            method_name: 'read',
            params: [
              { script_name: 'pipeline', script_key: 'pipeline-key' },
              {
                type: 'Shot',
                return_fields: ['code', 'sg_added_live'],
                filters: { logical_operator: 'and', conditions: [] },
                paging: { entities_per_page: 1, current_page: 1 },
              },
            ],
          }),
        });
        await reply.json();
        return reply.headers.get('x-understudy');
      };
      await stack.sandbox('/schema', {
        change: 'add',
        type: 'Shot',
        field: 'sg_added_live',
        dataType: 'text',
      });
      const missing = await tell('all', 'add-field', 'Shot.sg_not_there');
      assert.equal(outcomes(missing)['event-poller'], 'failed');
      const replies = await until('it is added', async () => {
        // Noticing the new field by the site's own event may be under way.
        const given = await tell('all', 'add-field', 'Shot.sg_added_live');
        return outcomes(given)['event-poller'] === 'done' ? given : undefined;
      });
      assert.equal(outcomes(replies)['applier'], 'nothing');
      await until('it is answered from the replica', async () => (await read())?.startsWith('replica'), {
        timeoutMs: 60_000,
      });
      assert.deepEqual(outcomes(await tell('event-poller', 'add-field', 'Shot.sg_added_live')), {
        'event-poller': 'nothing',
      });
    });

    test('the log’s level follows, and one that does not exist is refused', async () => {
      assert.deepEqual(outcomes(await tell('applier', 'log-level', 'debug')), { applier: 'done' });
      assert.deepEqual(outcomes(await tell('applier', 'log-level', 'loud')), { applier: 'refused' });
    });

    test('a drained service ends with exit code 0, and its sender waits for that', async () => {
      const replies = await tell('scanner', 'drain');
      assert.deepEqual(
        replies.map((reply) => reply.said),
        ['has ended'],
      );
      await until('the process is gone', () => !stack.process('scanner').running);
      assert.equal(await stack.process('scanner').end(), 0);
      assert.deepEqual(await tell('scanner', 'ping'), []);
      // Its successor is not meant by what drained it.
      stack.process('scanner').start();
      await until('its successor answers', async () => (await tell('scanner', 'ping')).length === 1, {
        timeoutMs: 60_000,
      });
    });

    test('a scanner that is stopped ends with the page in hand, not with the chunk; another goes on', async () => {
      const chunk = async (): Promise<
        { state: string; claimed: boolean; error: string | null } | undefined
      > => {
        const { rows } = await database.query(
          `select state, claimed_until is not null as claimed, error from understudy.scan_chunk
           where entity_type = 'Version' order by id desc limit 1`,
        );
        return rows[0];
      };
      await stack.sandbox('/faults', { latencyMs: 400 });
      const { code } = await stack.understudy('scan', '--full', '--types', 'Version');
      assert.equal(code, 0);
      await until('it is under way', async () => (await chunk())?.claimed === true, { timeoutMs: 60_000 });
      assert.equal(await stack.process('scanner').end('SIGTERM'), 0);
      await stack.sandbox('/faults', { latencyMs: 0 });
      assert.deepEqual(await chunk(), { state: 'open', claimed: false, error: 'its scanner was stopped' });
      stack.process('scanner').start();
      await until('it is done', async () => (await chunk())?.state === 'done', { timeoutMs: 60_000 });
    });

    test('a message with another signature, or an old one, changes nothing', async () => {
      const kind = messageNamed('pause');
      assert.ok(kind);
      const forged = await sendAndWait(database, {
        secret: 'another',
        service: 'applier',
        kind,
        argument: '',
        timeoutMs: 30_000,
        signal: AbortSignal.timeout(60_000),
      });
      assert.deepEqual(outcomes(forged), { applier: 'refused' });
      // One that runs long enough to be meant says why it does not obey; its successors do not even look.
      const sentAt = new Date((await databaseTime(database)).getTime() - 60_000);
      const old = { id: randomUUID(), service: 'all', name: 'pause', argument: '', sentAt };
      await sendMessage(database, { ...old, signature: sign(SECRET, old) });
      assert.deepEqual(outcomes(await tell('applier', 'ping')), { applier: 'done' });
      const answers = await answersTo(database, old.id);
      assert.deepEqual(
        answers.filter(({ outcome }) => outcome !== 'refused'),
        [],
      );
      assert.equal((await database.query('select from understudy.service_pause')).rowCount, 0);
    });
  });
}
