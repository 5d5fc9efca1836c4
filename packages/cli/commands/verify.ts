import type { EntityRef } from '@understudy/domain/entity';
import { enqueueRefreshes } from '@understudy/pipeline/enqueue';
import type { Replica } from '@understudy/pipeline/replica';
import type { EntityDifference } from '@understudy/pipeline/verify/entity-state';
import { type VerifiedType, verifyType } from '@understudy/pipeline/verify/verify-type';
import { and, type FilterGroup, type FilterLeaf, leaf } from '@understudy/site-client/filters';
import { entityTable } from '@understudy/store/entity-tables';
import { requestRefresh } from '@understudy/store/refresh-requests';
import { lastScanAt } from '@understudy/store/scans';
import { countArgument, idsArgument, listArgument } from '../arguments.ts';
import type { CommandParts } from '../command-line.ts';
import { CommandFailure, EXIT_NO, EXIT_USAGE } from '../failure.ts';
import { printJson, printLine, printTable } from '../output.ts';
import { type Progress, startProgress } from '../progress.ts';
import { preparedReplica, typesAsked } from '../replica.ts';
import { countText, numberText } from '../text.ts';
import type { RegisterCommand } from './all.ts';

interface VerifyOptions {
  readonly types?: readonly string[];
  readonly ids?: readonly number[];
  readonly projects?: readonly number[];
  readonly repair?: true;
  readonly limit: number;
  readonly settle: number;
}

/** Types compared at once: more gains nothing before a site that takes its time for each page. */
const TYPES_AT_ONCE = 4;
const LIMIT = 100;
const SETTLE_S = 10;
const VALUE_LENGTH_MAX = 80;

/** `understudy verify`: is the replica what the site is? */
export const registerVerify: RegisterCommand = (program, line) => {
  program
    .command('verify')
    .description(
      'compare every cached entity, alive and retired, field by field, with the site: the answers of a reader with the site’s own',
    )
    .option('--types <types>', 'only these entity types, with commas between', listArgument)
    .option('--ids <ids>', 'only these ids; needs one type', idsArgument)
    .option('--projects <ids>', 'only entities of these projects (and the projects)', idsArgument)
    .option('--repair', 'have the entities that differ fetched again by the appliers')
    .option('--limit <count>', 'how many differences are listed; all are counted', countArgument(0), LIMIT)
    .option(
      '--settle <seconds>',
      'how long the replica may take to hear of a change before it counts as a difference',
      countArgument(0),
      SETTLE_S,
    )
    .addHelpText(
      'after',
      `
An entity that differs is fetched again from both sides, after the replica had time to follow the event log to that
moment; only what still differs, while the site's answer stays the same, is reported. It also says how many of these
changed after the last interval scan began: no event told of it, and the next such scan will find them. Of the address
of an image only the lasting part is kept and compared, not its signature; files are not kept, and so not compared.

Exit code: 0 without differences, 1 with differences (also when they are being repaired), 69 when the site or
PostgreSQL is away.

Examples:
  understudy verify
  understudy verify --types Shot,Task --projects 70 --repair
  understudy verify --types Shot --ids 862 --json`,
    )
    .action((options: VerifyOptions) =>
      line.run(['site', 'database'], async (parts) => {
        const replica = await preparedReplica(parts);
        const types = typesAsked(replica, options.types);
        if (options.ids !== undefined && types.length !== 1)
          throw new CommandFailure('--ids needs one type: --types Shot --ids 1,2', EXIT_USAGE);
        const progress = startProgress(await countRows(replica, types), 'entities');
        const found = await verifyAll(parts, replica, types, options, progress).finally(() =>
          progress.stop(),
        );
        const repaired = options.repair === true ? await repair(parts, replica, found.refs) : 0;
        if (parts.json) {
          printJson({ ...found, refs: undefined, repaired });
        } else printFound(found, repaired);
        if (found.differenceCount > 0)
          throw new CommandFailure(`${countText(found.differenceCount, 'entity')} differ`, EXIT_NO);
      }),
    );
};

interface Found {
  readonly entityCount: number;
  readonly differenceCount: number;
  readonly types: readonly VerifiedType[];
  /** The first of them. */
  readonly differences: readonly EntityDifference[];
  readonly unsettledCount: number;
  /** When the last scan began that looked at all that had changed; null before the first. */
  readonly scannedAt: Date | null;
  /** Of the differences, those that the site changed later than that. */
  readonly changedSinceScan: number;
  readonly refs: readonly EntityRef[];
}

async function verifyAll(
  { signal }: CommandParts,
  replica: Replica,
  types: readonly string[],
  options: VerifyOptions,
  progress: Progress,
): Promise<Found> {
  const verified: VerifiedType[] = [];
  const differences: EntityDifference[] = [];
  const refs: EntityRef[] = [];
  const { pool } = replica.db;
  const scannedAt = (await lastScanAt(pool, 'interval')) ?? (await lastScanAt(pool, 'full'));
  let changedSinceScan = 0;
  let compared = 0;
  const left = types.flatMap((type) => {
    const filters = filtersOf(replica, type, options);
    return filters === null ? [] : [{ type, filters }];
  });
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { type, filters } = next;
      const result = await verifyType(replica, type, {
        priority: 'audit',
        filters,
        settleMs: options.settle * 1_000,
        signal,
        onCompared: (count) => {
          compared += count;
          progress.update(compared, type);
        },
        onDifference: (difference) => {
          if (differences.length < options.limit) differences.push(difference);
          if (isChangedSince(difference, scannedAt)) changedSinceScan += 1;
          refs.push({ type, id: difference.id });
        },
      });
      verified.push(result);
    }
  };
  await Promise.all(Array.from({ length: TYPES_AT_ONCE }, work));
  verified.sort((a, b) => (a.type < b.type ? -1 : 1));
  const sum = (of: (one: VerifiedType) => number): number => verified.reduce((n, one) => n + of(one), 0);
  return {
    entityCount: sum((one) => one.active + one.retired),
    differenceCount: refs.length,
    types: verified,
    differences,
    unsettledCount: sum((one) => one.unsettled.length),
    scannedAt,
    changedSinceScan,
    refs,
  };
}

/** Whether the site, whose clock shows whole seconds, says that it changed the entity after a moment. */
function isChangedSince({ fields }: EntityDifference, moment: Date | null): boolean {
  const updatedAt = fields['updated_at']?.site;
  if (moment === null || typeof updatedAt !== 'string') return false;
  return Date.parse(updatedAt) + 1_000 > moment.getTime();
}

/** What of a type is compared, or null where nothing of it can belong to the projects. */
function filtersOf(replica: Replica, type: string, options: VerifyOptions): FilterGroup | null {
  const conditions: FilterLeaf[] = [];
  if (options.ids !== undefined) conditions.push(leaf('id', 'in', ...options.ids));
  if (options.projects !== undefined) {
    const project = replica.schema.types.get(type)?.fields.get('project');
    if (type === 'Project') conditions.push(leaf('id', 'in', ...options.projects));
    else if (project?.dataType === 'entity')
      conditions.push(leaf('project', 'in', ...options.projects.map((id) => ({ type: 'Project', id }))));
    else return null;
  }
  return and(...conditions);
}

async function countRows({ db, schema }: Replica, types: readonly string[]): Promise<number> {
  const tables = types.flatMap((name) => {
    const type = schema.types.get(name);
    return type === undefined ? [] : [entityTable(type).sqlName];
  });
  const counts = tables.map((table) => `(select count(*) from ${table})`);
  const { rows } = await db.pool.query<{ n: string }>(`select ${counts.join(' + ') || '0'} as n`);
  return Number(rows[0]?.n);
}

async function repair(parts: CommandParts, replica: Replica, refs: readonly EntityRef[]): Promise<number> {
  await replica.db.transaction((tx) =>
    requestRefresh(
      tx,
      refs.map((ref) => ({ ...ref, reason: 'found different' })),
    ),
  );
  await enqueueRefreshes(
    parts.queues().queue('refresh'),
    refs.map((ref) => ref.type),
  );
  return refs.length;
}

function printFound(found: Found, repaired: number): void {
  for (const difference of found.differences) for (const text of linesOf(difference)) printLine(text);
  const unlisted = found.differenceCount - found.differences.length;
  if (unlisted > 0) printLine(`… and ${numberText(unlisted)} more`);
  if (found.differenceCount > 0) printLine();
  printTable(
    ['TYPE', 'ALIVE', 'RETIRED', 'DIFFERENT'],
    found.types.map((one) => [one.type, one.active, one.retired, one.different]),
  );
  printLine();
  if (found.unsettledCount > 0)
    printLine(
      `${countText(found.unsettledCount, 'entity')} changed whenever looked at: nothing is said of them.`,
    );
  if (found.changedSinceScan > 0)
    printLine(
      `${numberText(found.changedSinceScan)} of them changed after the last interval scan began (${found.scannedAt?.toISOString()}), and no event told of it: the next one will find them.`,
    );
  if (repaired > 0) printLine(`${countText(repaired, 'entity')} will be fetched again by the appliers.`);
  if (found.differenceCount === 0)
    printLine(`No difference: ${countText(found.entityCount, 'entity')} compared.`);
}

function linesOf({ type, id, kind, activeOnSite, fields }: EntityDifference): readonly string[] {
  const name = `${type} ${id}`;
  if (kind === 'missing') return [`${name}: only on the site`];
  if (kind === 'extra') return [`${name}: only in the replica`];
  const state =
    kind === 'state'
      ? [
          `${name}: ${activeOnSite ? 'alive on the site, retired' : 'retired on the site, alive'} in the replica`,
        ]
      : [];
  return [
    ...state,
    ...Object.entries(fields).map(
      ([field, { site, replica }]) =>
        `${name}.${field}: ${shown(site)} on the site, ${shown(replica)} in the replica`,
    ),
  ];
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}
