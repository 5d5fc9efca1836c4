import assert from 'node:assert/strict';
import { createShapeOf, withNumbers } from '@understudy/api-reader/request-shape';
import type { Json } from '@understudy/domain/entity';
import {
  type CompiledRead,
  compileRead,
  countParams,
  pageOf as joinPage,
} from '@understudy/query/compile-read';
import { compileSummarize, summarizeResults } from '@understudy/query/compile-summarize';
import { LARGEST, SMALLEST, templateOf } from '@understudy/query/read-template';
import { boundAt } from '@understudy/query/sql';
import type { SummaryRow } from '@understudy/query/summary-reply';
import { SandboxFault } from '@understudy/sandbox-site/site-fault';
import type { ColumnFrequencies } from '@understudy/store/column-frequencies';
import fc from 'fast-check';
import { type Api, call, type Reply } from '../api-rig.ts';
import { randomMoment } from './moments.ts';
import type { Payload } from './random-read.ts';

/** Every so many reads go the whole way through the reader over HTTP; the others straight to the compiler. */
const WHOLE_WAY_EVERY = 20;

/** Counts what answered, why the site did, and how many answers held anything. */
export class Shares {
  readonly #counts = new Map<string, number>();
  #total = 0;
  #filled = 0;

  count(source: string, isFilled: boolean): void {
    this.#counts.set(source, (this.#counts.get(source) ?? 0) + 1);
    this.#total += 1;
    if (isFilled) this.#filled += 1;
  }

  /** Prints them, as comments of the test runner's output. */
  print(what: string): void {
    const share = (count: number): string => `${((100 * count) / this.#total).toFixed(1)} %`;
    console.log(`# ${this.#total} ${what}, ${share(this.#filled)} with something in the answer`);
    for (const [source, count] of [...this.#counts].sort((a, b) => b[1] - a[1]))
      console.log(`# ${share(count)} ${source}`);
  }
}

/** What an answer says, without what depends on who gave it. */
export function answerOf({ status, json }: Reply): unknown {
  if (json.exception === true) return { status, code: json.error_code, message: json.message };
  return { status, results: json.results };
}

interface Page {
  readonly entities: readonly Json[];
  readonly paging_info: Readonly<Record<string, Json>>;
}

/** A page with the paging that was asked for; the rest may be left out (protocol §3.2). */
function pageOf({ entities, paging_info: paging }: Page, payload: Payload): unknown {
  if (payload['return_paging_info'] !== true) return { entities, hasNextPage: paging['has_next_page'] };
  const { current_page, page_count, entity_count, entities_per_page } = paging;
  return { entities, paging: { current_page, page_count, entity_count, entities_per_page } };
}

/** The sandbox's own answer at a moment, as it would arrive; null where it refuses. */
export type AskSandbox = (method: string, payload: Payload, now: Date) => Json | null;

export function sandboxAnswer(answer: () => Json): Json | null {
  try {
    return JSON.parse(JSON.stringify(answer())) as Json;
  } catch (error) {
    if (error instanceof SandboxFault) return null;
    throw error;
  }
}

/** Has every list of links count as long, and whatever else is asked for as seldom. */
const FREQUENCIES: ColumnFrequencies = {
  rowsPerValue: (_table, column) => (column === 'target_id' ? 1_000 : 1),
};

/** What the replica answers straight from the compiled statements, in each way that there is, or why it does not. */
async function replicaRead(api: Api, payload: Payload, now: Date): Promise<readonly Page[] | string> {
  const { schema } = api.replica;
  const context = { schema, servedTypes: new Set(schema.types.keys()) };
  const read = compileRead(payload, context);
  const other = compileRead(payload, { ...context, frequencies: FREQUENCIES });
  if ('passThrough' in read) {
    assert.ok('passThrough' in other, 'another way does not pass through');
    return process.env['DIFFERENTIAL_DETAIL'] === undefined ? read.passThrough : read.detail;
  }
  assert.ok('sql' in other, 'another way passes through');
  const ways = other.sql === read.sql ? [read] : [read, other];
  return Promise.all(ways.map((way) => pageFrom(api, way, now)));
}

async function pageFrom({ replica: { db } }: Api, read: CompiledRead, now: Date): Promise<Page> {
  const { rows } = await db.pool.query<{ entity: string }>(read.sql, boundAt(read.params, now));
  const { entities, hasNextPage } = joinPage(
    read,
    rows.map((row) => row.entity),
  );
  let paging: Record<string, Json> = { has_next_page: hasNextPage };
  if (read.countSql !== null) {
    const counted = await db.pool.query<{ entity_count: string }>(
      read.countSql,
      boundAt(countParams(read), now),
    );
    const count = Number(counted.rows[0]?.entity_count);
    paging = {
      ...paging,
      entity_count: count,
      page_count: Math.ceil(count / read.pageSize),
      current_page: count === 0 ? 0 : read.page,
      entities_per_page: read.pageSize,
    };
  }
  return { entities: JSON.parse(entities) as Json[], paging_info: paging };
}

const shapeOf = createShapeOf();
const NUMBERS = { minLength: 24, maxLength: 24 };
const otherNumber = fc.oneof(
  fc.integer({ min: SMALLEST, max: 50 }),
  fc.integer({ min: SMALLEST, max: LARGEST }),
);

/** Asserts that what is known of a read's shape gives for other numbers what compiling them gives. */
function assertTemplate({ replica }: Api, payload: Payload, others: readonly number[]): void {
  const { schema } = replica;
  const context = { schema, servedTypes: new Set(schema.types.keys()) };
  const json = Buffer.from(JSON.stringify(payload));
  const shape = shapeOf(json);
  if (shape === null) return;
  const payloadWith = (numbers: readonly number[]): unknown =>
    JSON.parse(withNumbers(json, shape, numbers).toString('utf8'));
  const template = templateOf(shape.numbers, payloadWith, context);
  if (template === null) return;
  const numbers = shape.numbers.map((number, at) => {
    const other = others[at] ?? number;
    return template.fits(shape.numbers.with(at, other)) ? other : number;
  });
  assert.deepEqual(template.read(numbers), compileRead(payloadWith(numbers), context));
}

const pageOrFault = (reply: Reply, payload: Payload): unknown =>
  reply.json.exception === true ? answerOf(reply) : pageOf(reply.json.results as unknown as Page, payload);

/**
 * Asserts that random reads get from the replica what the sandbox site's own evaluator, which shares no code with the
 * SQL compiler, answers at the same moment.
 */
export async function compareReads(
  api: Api,
  reads: fc.Arbitrary<Payload>,
  ask: (payload: Payload, now: Date) => Json | null,
  options: { readonly runs: number; readonly seed: number },
): Promise<Shares> {
  const shares = new Shares();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(reads, fc.array(otherNumber, NUMBERS), randomMoment, async (payload, others, now) => {
      run += 1;
      if (run % WHOLE_WAY_EVERY === 0) {
        const theirs = pageOrFault(await call(api.siteUrl, 'read', payload), payload);
        // The first is taken apart, the second is learned, the third is known by its shape.
        for (let time = 0; time < 3; time += 1) {
          const ours = await call(api.readerUrl, 'read', payload);
          const source = String(ours.headers['x-understudy']);
          assert.notEqual(source, 'site; reason=replica-failed', api.logged.at(-1));
          assert.deepEqual(pageOrFault(ours, payload), theirs, source);
        }
        return;
      }
      const theirs = ask(payload, now) as unknown as Page | null;
      const ours = await replicaRead(api, payload, now);
      const isFilled = theirs !== null && theirs.entities.length > 0;
      const source = ours.length > 1 ? 'replica, in two ways' : 'replica';
      shares.count(typeof ours === 'string' ? `site; ${ours}` : source, isFilled);
      if (typeof ours === 'string') return;
      assertTemplate(api, payload, others);
      assert.notEqual(theirs, null, 'the site refuses what the replica answers');
      for (const page of ours) assert.deepEqual(pageOf(page, payload), pageOf(theirs as Page, payload));
    }),
    { numRuns: options.runs, seed: options.seed },
  );
  return shares;
}

/** Asserts that what the site refuses is refused through the reader in the site's own words. */
export async function compareRefusals(
  api: Api,
  reads: fc.Arbitrary<unknown>,
  options: { readonly runs: number; readonly seed: number },
): Promise<Shares> {
  const shares = new Shares();
  await fc.assert(
    fc.asyncProperty(reads, async (payload) => {
      const [ours, theirs] = await Promise.all([
        call(api.readerUrl, 'read', payload),
        call(api.siteUrl, 'read', payload),
      ]);
      const source = String(ours.headers['x-understudy']);
      shares.count(source, theirs.json.exception !== true);
      assert.notEqual(source, 'site; reason=replica-failed', api.logged.at(-1));
      if (theirs.json.exception === true || source !== 'replica') {
        assert.deepEqual(answerOf(ours), answerOf(theirs), source);
        return;
      }
      const [a, b] = [ours, theirs].map((reply) => (reply.json.results as unknown as Page).entities);
      assert.deepEqual(a, b, source);
    }),
    { numRuns: options.runs, seed: options.seed },
  );
  return shares;
}

/** Asserts that random summaries are the sandbox site's. */
export async function compareSummaries(
  api: Api,
  summaries: fc.Arbitrary<Payload>,
  ask: (payload: Payload, now: Date) => Json | null,
  options: { readonly runs: number; readonly seed: number },
): Promise<Shares> {
  const { schema, db } = api.replica;
  const context = { schema, servedTypes: new Set(schema.types.keys()) };
  const shares = new Shares();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(summaries, randomMoment, async (payload, now) => {
      run += 1;
      if (run % WHOLE_WAY_EVERY === 0) {
        const [ours, theirs] = await Promise.all([
          call(api.readerUrl, 'summarize', payload),
          call(api.siteUrl, 'summarize', payload),
        ]);
        const source = String(ours.headers['x-understudy']);
        assert.notEqual(source, 'site; reason=replica-failed', api.logged.at(-1));
        assert.deepEqual(answerOf(ours), answerOf(theirs), source);
        return;
      }
      const theirs = ask(payload, now);
      const compiled = compileSummarize(
        payload,
        run % 2 === 0 ? context : { ...context, frequencies: FREQUENCIES },
      );
      if ('passThrough' in compiled) {
        shares.count(`site; ${compiled.passThrough}`, theirs !== null);
        return;
      }
      const { rows } = await db.pool.query<{ row: string }>({
        text: compiled.sql,
        values: boundAt(compiled.params, now),
        rowMode: 'array',
      } as never);
      const parsed = rows.map((row) => JSON.parse((row as unknown as [string])[0]) as SummaryRow);
      const ours = JSON.parse(summarizeResults(compiled, parsed)) as Json;
      shares.count('replica', (theirs as { groups?: readonly Json[] } | null)?.groups?.length !== 0);
      assert.deepEqual(ours, theirs);
    }),
    { numRuns: options.runs, seed: options.seed },
  );
  return shares;
}
