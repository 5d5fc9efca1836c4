import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ProductProcess, ROOT } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { program } from '@understudy/harness/programs';
import { SERVICES, type Stack, startStack } from '@understudy/harness/stack';
import { until } from '@understudy/harness/until';
import { readGenerationSummary } from '@understudy/pipeline/generation-summary';
import { type Database, openDatabase } from '@understudy/store/database';
import { readGenerations } from '@understudy/store/generations';
import { readOf } from './api-rig.ts';

/**
 * A schema is rolled out under traffic with nobody seeing a wrong or an empty field: two readers are asked without
 * pause, and every answer equals the site's, whatever is killed meanwhile.
 */
const WAIT = { timeoutMs: 180_000, everyMs: 100 };

const FIRST = `types:
  Project: {name: text, code: text, updated_at: date_time}
  HumanUser: {name: text, login: text, updated_at: date_time}
  Sequence: {code: text, project: {entity: [Project]}, updated_at: date_time}
  Shot: {code: text, project: {entity: [Project]}, sg_status_list: status_list, sg_cut_in: number,
    sg_cut_order: number, description: text, updated_at: date_time}
`;
/** Adds fields and a list of links, keeps Shot.sg_cut_order with another data type, drops one, adds a type. */
const SECOND = `types:
  Project: {name: text, code: text, sg_status: list, updated_at: date_time}
  HumanUser: {name: text, login: text, updated_at: date_time}
  Sequence: {code: text, project: {entity: [Project]}, updated_at: date_time}
  Asset: {code: text, project: {entity: [Project]}, sg_status_list: status_list, updated_at: date_time}
  Shot: {code: text, project: {entity: [Project]}, sg_status_list: status_list, sg_cut_in: number,
    sg_cut_order: text, sg_sequence: {entity: [Sequence]}, assets: {multi_entity: [Asset]}, sg_nothing: absent,
    updated_at: date_time}
`;

const KILLED = SERVICES.filter((name) => name !== 'sandbox-site');

/** Shots from this id on are written to all the time; nobody asks for them before that ends. */
const WRITTEN_FROM = 25;
const WRITTEN_COUNT = 15;
const WRITE_EVERY_MS = 50;

/** What the readers are asked all the time. */
const QUESTIONS = [
  readOf('Shot', ['code', 'sg_status_list', 'sg_cut_in', 'description'], [['id', 'less_than', WRITTEN_FROM]]),
  readOf('Shot', ['code', 'sg_cut_order'], [['id', 'less_than', WRITTEN_FROM]]),
  readOf(
    'Shot',
    ['code', 'sg_sequence', 'assets', 'sg_sequence.Sequence.code'],
    [['id', 'less_than', WRITTEN_FROM]],
  ),
  readOf('Asset', ['code', 'sg_status_list', 'project'], [['id', 'less_than', WRITTEN_FROM]]),
  readOf('Project', ['name', 'sg_status']),
];

interface Told {
  readonly at: number;
  readonly ms: number;
  readonly source: string;
}

interface Answer {
  readonly text: string;
  readonly source: string;
  /** How long it took the one who gave it. */
  readonly ms: number;
}

/** @returns null when nobody listens, or the reader was killed before it had answered. */
async function askOnce(url: string, payload: unknown): Promise<Answer | null> {
  const askedAt = performance.now();
  const reply = await fetch(`${url}/api3/json`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({
      method_name: 'read',
      params: [{ script_name: 'pipeline', script_key: 'pipeline-key' }, payload],
    }),
  }).catch(() => null);
  const text = await reply?.text().catch(() => null);
  if (reply === null || typeof text !== 'string') return null;
  return { text, source: String(reply.headers.get('x-understudy')), ms: performance.now() - askedAt };
}

/** Asks as often as it takes while nobody listens, as whatever stands before several readers does. */
async function ask(url: string, payload: unknown): Promise<Answer> {
  const { text, source, ms } = await until('somebody listens', () => askOnce(url, payload), WAIT);
  const body = JSON.parse(text) as { readonly results?: { readonly entities?: unknown } };
  assert.ok(body.results?.entities !== undefined, text.slice(0, 500));
  return { text: JSON.stringify(body.results.entities), source, ms };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** Asks readers without pause until it is stopped; keeps what was not the site's answer. */
class Watchers {
  readonly told: Told[] = [];
  readonly wrong: string[] = [];
  #stopping = false;
  readonly #running: Promise<void>[];

  constructor(siteUrl: string, readerUrls: readonly string[]) {
    this.#running = readerUrls.map((url) => this.#watch(siteUrl, url));
  }

  async #watch(siteUrl: string, url: string): Promise<void> {
    for (let turn = 0; !this.#stopping; turn += 1) {
      const payload = QUESTIONS[turn % QUESTIONS.length];
      // Nobody writes to what is asked, so the site's answer now is its answer a moment ago.
      const ours = await ask(url, payload);
      this.told.push({ at: performance.now(), ms: ours.ms, source: ours.source });
      const theirs = await ask(siteUrl, payload);
      if (ours.text !== theirs.text)
        this.wrong.push(`${url} (${ours.source}): ${JSON.stringify(payload)}\n${ours.text}\n${theirs.text}`);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  /** How fast and from where answers came between two moments, for people. */
  report(name: string, from: number, to: number): void {
    const some = this.told.filter(({ at }) => at >= from && at < to);
    const here = some.filter(({ source }) => source.startsWith('replica')).length;
    const times = some.map(({ ms }) => ms);
    console.log(
      `# ${name}: ${some.length} answers, ${here} from the replica, p50 ${percentile(times, 0.5).toFixed(1)} ms, p99 ${percentile(times, 0.99).toFixed(1)} ms`,
    );
  }
}

/** Writes on the site without pause, also to the fields that are rolled out, until it is stopped. */
class Writer {
  count = 0;
  #stopping = false;
  readonly #running: Promise<void>;

  constructor(stack: Stack) {
    this.#running = this.#write(stack);
  }

  async #write(stack: Stack): Promise<void> {
    for (; !this.#stopping; this.count += 1) {
      const n = this.count;
      const values = {
        description: `written ${n}`,
        sg_cut_order: String(n),
        sg_sequence: { type: 'Sequence', id: 1 + (n % 3) },
        assets: [{ type: 'Asset', id: 1 + (n % 5) }],
      };
      await stack.call(stack.siteUrl, 'update', {
        type: 'Shot',
        id: WRITTEN_FROM + (n % WRITTEN_COUNT),
        fields: Object.entries(values).map(([field_name, value]) => ({ field_name, value })),
      });
      await delay(WRITE_EVERY_MS);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }
}

describe('generations of the cached schema', () => {
  let stack: Stack;
  let second: ProductProcess;
  let secondUrl: string;
  let folder: string;
  let env: NodeJS.ProcessEnv;
  let db: Database;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'understudy-generations-'));
    await writeFile(join(folder, 'first.yaml'), FIRST);
    await writeFile(join(folder, 'second.yaml'), SECOND);
    stack = await startStack({
      queue: 'postgres',
      env: {
        UNDERSTUDY_SCHEMA_FILE: join(folder, 'first.yaml'),
        UNDERSTUDY_SANDBOX_SCALE: '400',
        UNDERSTUDY_SANDBOX_SEED: '3',
        UNDERSTUDY_SCANNER_CHUNK_SIZE: '25',
        UNDERSTUDY_SCANNER_PAGE_SIZE: '10',
      },
    });
    db = await openDatabase({ url: stack.databaseUrl, poolSize: 2, applicationName: 'test' });
    const port = await freePort();
    secondUrl = `http://127.0.0.1:${port}`;
    env = {
      ...process.env,
      DATABASE_URL: stack.databaseUrl,
      UNDERSTUDY_SITE_URL: stack.siteUrl,
      UNDERSTUDY_SITE_SCRIPT_NAME: 'understudy',
      UNDERSTUDY_SITE_SCRIPT_KEY: 'sandbox-key',
      UNDERSTUDY_SCHEMA_FILE: join(folder, 'first.yaml'),
      UNDERSTUDY_READER_PORT: String(port),
    };
    second = new ProductProcess('second reader', program('services/api-reader'), env);
    second.start();
    await until('the second reader is ready', async () => (await fetch(`${secondUrl}/readyz`)).ok, WAIT);
  });
  after(async () => {
    await second?.end('SIGKILL');
    await db?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(async (context) => {
    if (stack === undefined || !('passed' in context) || context.passed) return;
    const { stdout } = await stack.understudy('status');
    const last = [second, ...SERVICES.map((name) => stack.process(name))].map(
      (one) => `--- ${one.name}${one.running ? '' : ' (not running)'}\n${one.output.slice(-1_500)}`,
    );
    console.error(`${stdout}\n${last.join('\n')}`);
  });

  const both = [() => stack.readerUrl, () => secondUrl];

  /** Waits until both readers answer a question here, and that the answer is the site's. */
  async function served(payload: unknown): Promise<void> {
    for (const url of both) {
      const answer = await until(
        `${url()} answers from the replica: ${JSON.stringify(payload)}`,
        async () => {
          const ours = await ask(url(), payload);
          return ours.source.startsWith('replica') ? ours : null;
        },
        WAIT,
      );
      assert.equal(answer.text, (await ask(stack.siteUrl, payload)).text);
    }
  }

  async function passesThrough(payload: unknown): Promise<void> {
    for (const url of both)
      await until(
        `${url()} passes through: ${JSON.stringify(payload)}`,
        async () => (await ask(url(), payload)).source.startsWith('site'),
        WAIT,
      );
  }

  const change = (body: object): Promise<unknown> => stack.sandbox('/schema', body);

  test('a field of another data type passes through within a poll, and everybody goes on', async () => {
    const retyped = readOf('Shot', ['sg_cut_order']);
    await served(retyped);
    await change({ change: 'retype', type: 'Shot', field: 'sg_cut_order', dataType: 'text' });
    await passesThrough(retyped);
    await served(readOf('Shot', ['code', 'sg_cut_in']));
    const generation = await readGenerationSummary(db.pool);
    assert.deepEqual(generation?.differences, ['Shot.sg_cut_order is text on the site, not number']);
    assert.deepEqual(generation?.siteChanges, ['Shot.sg_cut_order is text, was number']);
  });

  /** Runs a command and kills it at once when the newest generation is in one of some states. */
  async function killedWhen(states: readonly string[], ...args: string[]): Promise<void> {
    const [file, ...words] = program('packages/cli');
    const child = spawn(file, [...words, 'schema', ...args], {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = once(child, 'exit');
    const isThere = async (): Promise<boolean> => {
      const [newest] = await readGenerations(db.pool);
      return newest !== undefined && newest.id > 1 && states.includes(newest.state);
    };
    const what = `the newest generation is ${states.join(' or ')}`;
    // A command that failed is not waited for: it says why.
    const outcome = await until(
      what,
      async () => {
        const hasEnded = child.exitCode !== null;
        return (await isThere()) ? 'there' : hasEnded && 'ended';
      },
      { ...WAIT, everyMs: 5 },
    );
    child.kill('SIGKILL');
    const [code] = (await ended) as [number | null];
    assert.ok(code === null || code === 0, said);
    assert.equal(outcome, 'there', what);
  }

  /** Kills every service at once, both readers too, and starts them again. */
  async function everythingKilled(): Promise<void> {
    const processes = [second, ...KILLED.map((name) => stack.process(name))];
    await Promise.all(processes.map((one) => one.end('SIGKILL')));
    for (const one of processes) one.start();
  }

  test('rolled out under traffic, everything killed in each state: every answer is the site’s', async (t) => {
    const file = join(folder, 'second.yaml');
    const writer = new Writer(stack);
    const watchers = new Watchers(stack.siteUrl, [stack.readerUrl, secondUrl]);
    // Traffic that goes on after a failure would fail the tests behind it as well.
    t.after(() => Promise.allSettled([watchers.stop(), writer.stop()]));
    const startedAt = performance.now();
    await until('answers before', () => watchers.told.length > 60, WAIT);
    const appliedAt = performance.now();
    await killedWhen(['following', 'scanning', 'ready'], 'move', file);
    await everythingKilled();
    await killedWhen(['scanning', 'ready'], 'apply', file);
    await everythingKilled();
    await killedWhen(['ready'], 'rescan');
    await everythingKilled();
    const { code, stdout } = await stack.understudy('schema', 'apply', file);
    assert.equal(code, 0, stdout);
    const activatedAt = performance.now();
    await everythingKilled();
    for (const question of QUESTIONS.slice(1)) await served(question);
    const afterAt = performance.now();
    const count = watchers.told.length;
    await until('answers after', () => watchers.told.length > count + 60, WAIT);
    await watchers.stop();
    await writer.stop();
    watchers.report('before', startedAt, appliedAt);
    watchers.report('during', appliedAt, activatedAt);
    watchers.report('after', afterAt, performance.now());
    console.log(`# ${writer.count} writes meanwhile`);
    assert.deepEqual(watchers.wrong.slice(0, 2), []);
    const states = (await readGenerations(db.pool)).map(({ id, state }) => [id, state]);
    assert.deepEqual(states, [
      [2, 'serving'],
      [1, 'retired'],
    ]);
    // A field that is known to be absent is answered here, and one that was dropped passes through.
    await served(readOf('Shot', ['code', 'sg_nothing']));
    await passesThrough(readOf('Shot', ['code', 'description']));
    const { code: verified, stdout: said } = await stack.understudy('verify');
    assert.equal(verified, 0, said);
  });

  test('two readers answer from two generations at once', async () => {
    const port = await freePort();
    const old = new ProductProcess('old reader', program('services/api-reader'), {
      ...env,
      UNDERSTUDY_READER_PORT: String(port),
      UNDERSTUDY_READER_GENERATION: '1',
    });
    old.start();
    const url = `http://127.0.0.1:${port}`;
    const dropped = readOf('Shot', ['code', 'description']);
    const answer = await until(
      'the old generation is served',
      async () => {
        const found = await askOnce(url, dropped);
        return found?.source.startsWith('replica') ? found : null;
      },
      WAIT,
    );
    const theirs = await ask(stack.siteUrl, dropped);
    assert.equal(JSON.stringify(JSON.parse(answer.text).results.entities), theirs.text);
    const made = await ask(url, readOf('Asset', ['code']));
    assert.match(made.source, /^site/);
    assert.equal(made.text, (await ask(stack.siteUrl, readOf('Asset', ['code']))).text);
    await old.end();
  });

  test('rolled back at once, and on again by hand in steps', async () => {
    assert.equal((await stack.understudy('schema', 'rollback')).code, 0);
    await passesThrough(readOf('Asset', ['code']));
    await served(readOf('Shot', ['code', 'description']));
    assert.equal((await stack.understudy('schema', 'rollback')).code, 64, 'there is none before it');
    // Its fields were followed all the time: nothing is scanned again.
    for (const step of [['move', join(folder, 'second.yaml')], ['rescan'], ['activate']]) {
      const { code, stdout } = await stack.understudy('schema', ...step);
      assert.equal(code, 0, stdout);
    }
    await served(readOf('Asset', ['code']));
  });

  test('a field made on the site is rolled out by itself where that is wanted', async () => {
    const poller = stack.process('event-poller');
    await poller.end();
    const own = new ProductProcess('poller', program('services/event-poller'), {
      ...env,
      UNDERSTUDY_POLLER_INTERVAL_MS: '300',
      UNDERSTUDY_SCHEMA_AUTO_APPLY: 'true',
    });
    own.start();
    try {
      await change({ change: 'add', type: 'Shot', field: 'sg_made', dataType: 'text' });
      await change({ change: 'retype', type: 'Shot', field: 'sg_cut_in', dataType: 'text' });
      await change({ change: 'delete', type: 'Project', field: 'sg_status' });
      await stack.call(stack.siteUrl, 'update', {
        type: 'Shot',
        id: 1,
        fields: [{ field_name: 'sg_made', value: 'yes' }],
      });
      await served(readOf('Shot', ['sg_made', 'sg_cut_in'], [['id', 'less_than', 20]]));
      await served(readOf('Project', ['name', 'sg_status']));
      await change({ change: 'rename', type: 'Shot', field: 'sg_made', displayName: 'Another name' });
      await served(readOf('Shot', ['sg_made']));
    } catch (error) {
      throw new Error(own.output.slice(-3_000), { cause: error });
    } finally {
      await own.end();
      poller.start();
    }
  });

  test('what is replaced is followed no longer when asked so', async () => {
    const { code, stdout } = await stack.understudy('schema', 'drop', '--now');
    assert.equal(code, 0, stdout);
    await served(readOf('Shot', ['code', 'sg_sequence', 'assets']));
    await passesThrough(readOf('Shot', ['description']));
    const { code: verified, stdout: said } = await stack.understudy('verify');
    assert.equal(verified, 0, said);
  });
});
