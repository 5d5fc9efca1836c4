import { createHash } from 'node:crypto';
import { compileWhere, PREPARED_LENGTH_MAX } from './compile-read.ts';
import { NotCompiled, type PassThrough } from './pass-through.ts';
import { segmentsOf } from './path.ts';
import { type Located, type QueryContext, Scope, type Source } from './scope.ts';
import { TEXT_COLLATION } from './sorts.ts';
import { literal } from './sql.ts';
import { type SummaryRow, summaryReply } from './summary-reply.ts';

/** A summarize as one statement. Running it any number of times gives the summary as it is then. */
export interface CompiledSummarize {
  /** Gives a row for each group, each of their groups, and the whole: the JSON text of a `SummaryRow`. */
  readonly sql: string;
  /** To be bound to a moment with `boundAt` for each run. */
  readonly params: readonly unknown[];
  readonly dependsOnNow: boolean;
  /** As that of a compiled read. */
  readonly name: string;
  readonly type: string;
  /** How deep groups nest. */
  readonly depth: number;
}

/** json_build_object takes 100 arguments, two for each. */
const SUMMARIES_MAX = 40;
const GROUPINGS_MAX = 5;
/** More groups than this are the site's to make. */
export const GROUPS_MAX = 20_000;

const INTEGERS: ReadonlySet<string> = new Set(['number', 'percent', 'duration', 'timecode']);
const NUMBERS: ReadonlySet<string> = new Set([...INTEGERS, 'float', 'currency']);
const TIMES: ReadonlySet<string> = new Set(['date', 'date_time']);
/** Data types whose groups are called by their value; others are shown in a way that the site's preferences set. */
const PLAIN_GROUPS: ReadonlySet<string> = new Set(['text', 'list', 'entity_type', 'number']);

/**
 * Compiles the payload of a `summarize` (protocol §5.5). Pure: takes nothing but its arguments.
 * @returns the statement, or why the site must answer.
 */
export function compileSummarize(payload: unknown, context: QueryContext): CompiledSummarize | PassThrough {
  try {
    return compile(payload, context);
  } catch (error) {
    if (error instanceof NotCompiled) return { passThrough: error.reason, detail: error.message };
    throw error;
  }
}

/** @returns the results of a summarize from the rows that its statement gave. */
export function summarizeResults(compiled: CompiledSummarize, rows: readonly SummaryRow[]): string {
  return JSON.stringify(summaryReply(rows, compiled.depth));
}

type Item = Readonly<Record<string, unknown>>;

function itemsOf(value: unknown, name: string, max: number): readonly Item[] {
  if (!Array.isArray(value)) throw new NotCompiled('invalid read', name);
  if (value.length > max) throw new NotCompiled('too many fields', name);
  for (const item of value as readonly unknown[]) {
    const { field, type } = (item ?? {}) as Item;
    if (typeof field !== 'string' || typeof type !== 'string') throw new NotCompiled('invalid read', name);
  }
  return value as readonly Item[];
}

function compile(payload: unknown, context: QueryContext): CompiledSummarize {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload))
    throw new NotCompiled('invalid read');
  const asked = payload as Item;
  const { type } = asked;
  if (typeof type !== 'string') throw new NotCompiled('invalid read', 'type');
  if (asked['additional_filter_presets'] !== undefined) throw new NotCompiled('filter presets');
  const summaries = itemsOf(asked['summaries'], 'summaries', SUMMARIES_MAX);
  const groupings = itemsOf(asked['grouping'] ?? [], 'grouping', GROUPINGS_MAX);
  if (new Set(groupings.map(({ field }) => field)).size < groupings.length)
    throw new NotCompiled('grouping not answered here', 'twice by one field');
  const scope = new Scope(context, type);
  const where = compileWhere(scope, asked);
  // One for each field: a second on the same field takes the first one's place (protocol §5.5).
  const byPath = new Map<string, string>();
  for (const { field, type: kind } of summaries)
    byPath.set(String(field), summarySql(scope, String(field), kind));
  const made = [...byPath].map(([path, sql]) => `${literal(path)}, ${sql}`).join(', ');
  const levels = groupings.map((item, index) => groupingOf(scope, item, index + 1));
  const { root } = scope;
  const from = `from ${root.table.sqlName} ${root.alias} ${scope.joins} ${levels.map((level) => level.join).join(' ')} where ${where}`;
  const row = (depth: string, keys: string): string =>
    `json_build_object('depth', ${depth}, 'groups', ${keys}, 'summaries', json_build_object(${made}))::text`;
  const sql =
    levels.length === 0
      ? `select ${row('0', 'json_build_array()')} ${from}`
      : `select ${row(
          levels.map(({ key }) => `(1 - grouping(${key}))`).join(' + '),
          `json_build_array(${levels.map(({ key, name, value }) => `json_build_array(${key}, ${name}, ${value})`).join(', ')})`,
        )} ${from} group by rollup (${levels.map(({ key, name, value, order }) => `(${[...new Set([key, name, value, order])].join(', ')})`).join(', ')})
        order by ${levels.map(({ key, order, direction }) => `${order} ${direction}, ${key} collate "C"`).join(', ')} limit ${GROUPS_MAX + 1}`;
  const name =
    sql.length > PREPARED_LENGTH_MAX
      ? ''
      : `summarize_${createHash('sha1').update(sql).digest('hex').slice(0, 20)}`;
  const params = scope.parameters.values;
  return { sql, params, dependsOnNow: scope.parameters.dependsOnNow, name, type, depth: levels.length };
}

/** Where a dotted path leads, through entity links. @throws NotCompiled */
function locate(scope: Scope, path: string): { readonly source: Source; readonly located: Located } {
  const segments = segmentsOf(path);
  let source = scope.root;
  for (let at = 0; ; at += 2) {
    const [name = '', type] = segments.slice(at, at + 2);
    const located = scope.field(source, name);
    if (located.field.absent) throw new NotCompiled('invalid read', path);
    if (type === undefined) return { source, located };
    const { validTypes } = located.field;
    if (located.kind !== 'link' || at + 2 >= segments.length) throw new NotCompiled('invalid read', path);
    if (validTypes.length > 0 && !validTypes.includes(type)) throw new NotCompiled('value in doubt', path);
    source = scope.follow(source, name, type);
  }
}

const LINK_ALIVE = 'lt.active';

/** SQL of one summary as a value of JSON. Only what is safe to compute outside of the site is computed (protocol §5.5). */
function summarySql(scope: Scope, path: string, kind: unknown): string {
  const { source, located } = locate(scope, path);
  const { dataType } = located.field;
  const unanswered = (): never => {
    throw new NotCompiled('summary not answered here', `${String(kind)} of ${dataType}`);
  };
  if (kind === 'count') {
    if (located.kind === 'link') {
      return `count(*) filter (where exists (select from understudy.link_target lt where ${LINK_ALIVE}
        and lt.entity_type = ${source.alias}.${located.typeColumn} and lt.entity_id = ${source.alias}.${located.idColumn}))`;
    }
    if (located.kind === 'links') {
      return `count(*) filter (where exists (select from ${located.table} l join understudy.link_target lt
        on lt.entity_type = l.target_type and lt.entity_id = l.target_id
        where l.entity_id = ${source.alias}.id and not l._removed and ${LINK_ALIVE}))`;
    }
  }
  if (located.kind !== 'column' || located.sqlType === 'jsonb' || dataType === 'image') return unanswered();
  const column = `${source.alias}.${located.column}`;
  switch (kind) {
    case 'count':
      return `count(${column})`;
    case 'sum':
      // What fractions add up to depends on their order.
      return INTEGERS.has(dataType) ? `coalesce(sum(${column}), 0)` : unanswered();
    case 'maximum':
      return NUMBERS.has(dataType) ? `max(${column})` : unanswered();
    case 'minimum':
      return NUMBERS.has(dataType) ? `min(${column})` : unanswered();
    case 'earliest':
    case 'latest': {
      if (!TIMES.has(dataType)) return unanswered();
      const extreme = `${kind === 'earliest' ? 'min' : 'max'}(${column})`;
      return dataType === 'date'
        ? `to_char(${extreme}, 'YYYY-MM-DD')`
        : `to_char(${extreme} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
    }
    default:
      return unanswered();
  }
}

interface Level {
  readonly join: string;
  readonly key: string;
  readonly name: string;
  readonly value: string;
  readonly order: string;
  readonly direction: string;
}

function groupingOf(scope: Scope, { field, type, direction = 'asc' }: Item, level: number): Level {
  if (direction !== 'asc' && direction !== 'desc') throw new NotCompiled('invalid read', 'direction');
  const path = String(field);
  const { source, located } = locate(scope, path);
  const { dataType } = located.field;
  if (type !== 'exact') throw new NotCompiled('grouping not answered here', String(type));
  // The empty group stands last ascending and first descending, as nulls do.
  const order = direction === 'asc' ? 'asc nulls last' : 'desc nulls first';
  if (located.kind === 'link') {
    const target = `g${level}`;
    const name = `coalesce(${target}.name, case when ${target}.entity_id is not null then '' end)`;
    return {
      join: `left join understudy.link_target ${target} on ${target}.active
        and ${target}.entity_type = ${source.alias}.${located.typeColumn} and ${target}.entity_id = ${source.alias}.${located.idColumn}`,
      key: `(${target}.entity_type || ':' || ${target}.entity_id)`,
      name,
      value: `case when ${target}.entity_id is not null then jsonb_build_object('type', ${target}.entity_type, 'id', ${target}.entity_id, 'name', ${name}, 'valid', 'valid') end`,
      order: `${name} collate ${TEXT_COLLATION}`,
      direction: order,
    };
  }
  if (located.kind !== 'column' || !PLAIN_GROUPS.has(dataType))
    throw new NotCompiled('grouping not answered here', dataType);
  const column = `${source.alias}.${located.column}`;
  const isText = located.sqlType === 'text';
  return {
    join: '',
    key: isText ? column : `${column}::text`,
    name: `${column}::text`,
    value: column,
    order: isText ? `${column} collate ${TEXT_COLLATION}` : column,
    direction: order,
  };
}
