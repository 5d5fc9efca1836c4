import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ProductProcess, ROOT } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { type Stack, startStack } from '@understudy/harness/stack';
import { until } from '@understudy/harness/until';
import { readOf } from './api-rig.ts';

/**
 * A schema is rolled out under traffic with nobody seeing a wrong or an empty field: two readers are asked without
 * pause, and every answer equals the site's, whatever is killed meanwhile.
 */
const WAIT = { timeoutMs: 90_000, everyMs: 100 };

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

/** What the readers are asked all the time. */
const QUESTIONS = [
  readOf('Shot', ['code', 'sg_status_list', 'sg_cut_in', 'description'], [['id', 'less_than', 60]]),
  readOf('Shot', ['code', 'sg_cut_order'], [['id', 'less_than', 60]]),
  readOf('Shot', ['code', 'sg_sequence', 'assets', 'sg_sequence.Sequence.code'], [['id', 'less_than', 60]]),
  readOf('Asset', ['code', 'sg_status_list', 'project'], [['id', 'less_than', 60]]),
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
}

async function ask(url: string, payload: unknown): Promise<Answer> {
  const reply = await fetch(`${url}/api3/json`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({
      method_name: 'read',
      params: [{ script_name: 'pipeline', script_key: 'pipeline-key' }, payload],
    }),
  });
  const body = (await reply.json()) as { readonly results?: { readonly entities?: unknown } };
  assert.ok(body.results?.entities !== undefined, JSON.stringify(body).slice(0, 500));
  return { text: JSON.stringify(body.results.entities), source: String(reply.headers.get('x-understudy')) };
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
      const startedAt = performance.now();
      const ours = await ask(url, payload);
      const endedAt = performance.now();
      const theirs = await ask(siteUrl, payload);
      this.told.push({ at: endedAt, ms: endedAt - startedAt, source: ours.source });
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

describe('generations of the cached schema', () => {
  let stack: Stack;
  let second: ProductProcess;
  let secondUrl: string;
  let folder: string;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'understudy-generations-'));
    await writeFile(join(folder, 'first.yaml'), FIRST);
    await writeFile(join(folder, 'second.yaml'), SECOND);
    stack = await startStack({
      queue: 'postgres',
      env: {
        UNDERSTUDY_SCHEMA_FILE: join(folder, 'first.yaml'),
        UNDERSTUDY_SANDBOX_SCALE: '600',
        UNDERSTUDY_SANDBOX_SEED: '3',
        UNDERSTUDY_SCANNER_CHUNK_SIZE: '25',
        UNDERSTUDY_SCANNER_PAGE_SIZE: '10',
      },
    });
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
    second = new ProductProcess('second reader', [process.execPath, 'services/api-reader/main.ts'], env);
    second.start();
    await until('the second reader is ready', async () => (await fetch(`${secondUrl}/readyz`)).ok, WAIT);
  });
  after(async () => {
    await second?.end('SIGKILL');
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  interface Shown {
    readonly generations: readonly {
      readonly id: number;
      readonly state: string;
      readonly fields: number;
      readonly served: number;
      readonly differences: readonly string[];
    }[];
  }

  async function shown(): Promise<Shown> {
    const { code, stdout } = await stack.understudy('schema', 'status', '--json');
    assert.equal(code, 0, stdout);
    return JSON.parse(stdout) as Shown;
  }

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
    const { generations } = await shown();
    assert.deepEqual(generations[0]?.differences, ['Shot.sg_cut_order is text on the site, not number']);
    const { stdout } = await stack.understudy('status');
    assert.match(stdout, /Shot\.sg_cut_order is text, was number/);
  });

  test('rolled out under traffic while everything is killed: every answer is the site’s', async () => {
    const file = join(folder, 'second.yaml');
    const watchers = new Watchers(stack.siteUrl, [stack.readerUrl, secondUrl]);
    const startedAt = performance.now();
    await until('answers before', () => watchers.told.length > 60, WAIT);
    const appliedAt = performance.now();
    // The command is killed in each state; it takes up where it was left.
    for (const state of ['following', 'scanning', 'ready']) {
      const child = spawn(process.execPath, ['packages/cli/main.ts', 'schema', 'apply', file, '--json'], {
        cwd: ROOT,
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      const isThere = until(
        `generation 2 is ${state}`,
        async () => {
          const found = (await shown()).generations.find(({ id }) => id === 2);
          return found !== undefined;
        },
        WAIT,
      );
      await Promise.race([isThere, ended]);
      child.kill('SIGKILL');
      await ended;
      // And so is everybody else, one after the other.
      const killed = { following: 'applier', scanning: 'scanner', ready: 'event-poller' } as const;
      const service = stack.process(killed[state as keyof typeof killed]);
      await service.end('SIGKILL');
      service.start();
    }
    const { code, stdout } = await stack.understudy('schema', 'apply', file);
    assert.equal(code, 0, stdout);
    const activatedAt = performance.now();
    for (const question of QUESTIONS.slice(1)) await served(question);
    const afterAt = performance.now();
    const count = watchers.told.length;
    await until('answers after', () => watchers.told.length > count + 60, WAIT);
    await watchers.stop();
    watchers.report('before', startedAt, appliedAt);
    watchers.report('during', appliedAt, activatedAt);
    watchers.report('after', afterAt, performance.now());
    assert.deepEqual(watchers.wrong.slice(0, 2), []);
    assert.deepEqual(
      (await shown()).generations.map(({ id, state }) => [id, state]),
      [
        [2, 'serving'],
        [1, 'retired'],
      ],
    );
    // A field that is known to be absent is answered here, and one that was dropped passes through.
    await served(readOf('Shot', ['code', 'sg_nothing']));
    await passesThrough(readOf('Shot', ['code', 'description']));
  });

  test('rolled back at once, and on again', async () => {
    assert.equal((await stack.understudy('schema', 'rollback')).code, 0);
    await passesThrough(readOf('Asset', ['code']));
    await served(readOf('Shot', ['code', 'description']));
    assert.equal((await stack.understudy('schema', 'rollback')).code, 64);
    // Its fields were followed all the time: nothing is scanned again.
    const { code, stdout } = await stack.understudy('schema', 'apply', join(folder, 'second.yaml'));
    assert.equal(code, 0, stdout);
    await served(readOf('Asset', ['code']));
  });

  test('a field made on the site is rolled out by itself where that is wanted', async () => {
    const poller = stack.process('event-poller');
    await poller.end();
    const own = new ProductProcess('poller', [process.execPath, 'services/event-poller/main.ts'], {
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
