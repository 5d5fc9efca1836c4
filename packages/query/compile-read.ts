import { hash } from 'node:crypto';
import { compileFilter } from './filters/compile-filter.ts';
import { narrowFirst } from './narrow-first.ts';
import { NotCompiled, type PassThrough } from './pass-through.ts';
import { type AliasedRowSql, cachedRowJson } from './row-json-cache.ts';
import { type QueryContext, Scope } from './scope.ts';
import { compileSorts } from './sorts.ts';
import { NOW } from './sql.ts';

/** A read as one statement. Running it any number of times gives the page as it is then. */
export interface CompiledRead {
  /** Gives a row with `entity`, its JSON text, for each entity of the page, and one more where there is a next page. */
  readonly sql: string;
  /** To be bound to a moment with `boundAt` for each run. */
  readonly params: readonly unknown[];
  /** Whether the answer depends on when it is run (spans of time). */
  readonly dependsOnNow: boolean;
  /** Equal for reads of one shape: the statement may be prepared under it. Empty for one too large to be kept. */
  readonly name: string;
  /** Gives one row with `entity_count`; only where the caller asked for counts (protocol §3.2). */
  readonly countSql: string | null;
  readonly page: number;
  readonly pageSize: number;
  readonly type: string;
}

/** The most that sites are known to give; larger pages are theirs to answer (protocol §9). */
const PAGE_SIZE_MAX = 5_000;
const PAGE_MAX = 10_000_000;
const FIELDS_MAX = 500;
/** From so many rows on the links that they share are worth remembering. */
const MANY_ROWS = 50;

/**
 * Compiles the payload of a `read` (protocol §3.1). Pure: takes nothing but its arguments.
 * @returns the statement, or why the read must go to the site.
 */
export function compileRead(payload: unknown, context: QueryContext): CompiledRead | PassThrough {
  try {
    return compile(payload, context);
  } catch (error) {
    if (error instanceof NotCompiled) return { passThrough: error.reason, detail: error.message };
    throw error;
  }
}

function compile(payload: unknown, context: QueryContext): CompiledRead {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload))
    throw new NotCompiled('invalid read');
  const read = payload as Readonly<Record<string, unknown>>;
  const { type } = read;
  if (typeof type !== 'string') throw new NotCompiled('invalid read', 'type');
  if (read['additional_filter_presets'] !== undefined) throw new NotCompiled('filter presets');
  const { page, pageSize } = pagingOf(read['paging']);
  const fields = fieldsOf(read['return_fields']);
  const scope = new Scope(context, type);
  const { root } = scope;
  const where = compileWhere(scope, read);
  const order = compileSorts(scope, read['sorts']);
  const from = `from ${root.table.sqlName} ${root.alias} ${scope.joins} where ${where}`;
  const countSql =
    read['return_paging_info'] === true ? `select count(*)::text as entity_count ${from}` : null;
  const row = cachedRowJson(context, type, fields, pageSize >= MANY_ROWS);
  const offset = page === 1 ? '' : `offset ${scope.parameters.add((page - 1) * pageSize, 'bigint')}`;
  const { sql, name } = statementOf(
    row,
    root.alias,
    `${from} order by ${order} limit ${pageSize + 1} ${offset}`,
  );
  const params = scope.parameters.values;
  return {
    sql,
    params,
    dependsOnNow: params.includes(NOW),
    name,
    countSql,
    page,
    pageSize,
    type,
  };
}

/** The text of a statement and the name under which it may be prepared. */
type Statement = Pick<CompiledRead, 'sql' | 'name'>;

/** Statements that are remembered; as many as connections keep prepared, and more. */
const STATEMENTS_MAX = 2_000;
const statements = new Map<string, Statement>();
/**
 * Longer statements are not prepared: connections keep a thousand of them, and the plan of a filter with hundreds of
 * conditions takes a megabyte. Most reads have less than half of this.
 */
export const PREPARED_LENGTH_MAX = 30_000;

/**
 * The statement that gives the JSON of a page's rows. Remembered, since reads of one shape have the same text: looked up by
 * the short part of it that is made for each read, it need neither be put together nor hashed.
 * @param page from where, which rows, in which order.
 */
function statementOf(row: AliasedRowSql, rootAlias: string, page: string): Statement {
  const key = `${row.key} ${page}`;
  const known = statements.get(key);
  if (known !== undefined) return known;
  // Which rows first, then their JSON: what a row costs is paid for a page, never for all that match. One row for each
  // entity: put together in PostgreSQL, a page of 500 takes twice as long (16 ms of it instead of 9). Only the columns that
  // are wanted: with all of a row, of which most are then null, a read of one row takes half as long again.
  const columns = row.columns.map((column) => `${rootAlias}.${column}`).join(', ');
  const sql = `select ${row.json} as entity from (
      select ${columns} ${page}) ${row.alias}${row.joins}`;
  if (sql.length > PREPARED_LENGTH_MAX) return { sql, name: '' };
  const made = { sql, name: `read_${hash('sha1', sql, 'hex').slice(0, 20)}` };
  const oldest = statements.keys().next();
  if (statements.size >= STATEMENTS_MAX && oldest.done !== true) statements.delete(oldest.value);
  statements.set(key, made);
  return made;
}

/**
 * Which rows a read or summarize is about: alive or retired, filtered, those of archived projects left out if asked.
 * Call it before the scope's joins are taken. @throws NotCompiled
 */
export function compileWhere(scope: Scope, payload: Readonly<Record<string, unknown>>): string {
  const { root } = scope;
  const conditions = [`${root.alias}._active = ${isRetired(payload['return_only']) ? 'false' : 'true'}`];
  const { filters } = payload;
  if (filters === undefined || filters === null) throw new NotCompiled('invalid read', 'filters');
  if (payload['include_archived_projects'] === false) conditions.push(notArchived(scope));
  const narrowed = narrowFirst(scope, filters, conditions);
  if (narrowed !== null) return narrowed;
  conditions.push(`(${compileFilter(scope, filters)})`);
  return conditions.join(' and ');
}

/** How many of a read's parameters its count takes. */
export function countParams(read: CompiledRead): readonly unknown[] {
  return read.page === 1 ? read.params : read.params.slice(0, -1);
}

/** A page of a reply (protocol §3.2) from what its statement gave. */
export interface Page {
  /** Text of the JSON array. */
  readonly entities: string;
  readonly hasNextPage: boolean;
}

/** Puts a page together from the JSON texts that a read's statement gave, in their order. */
export function pageOf(read: Pick<CompiledRead, 'pageSize'>, texts: readonly string[]): Page {
  const hasNextPage = texts.length > read.pageSize;
  const shown = hasNextPage ? texts.slice(0, read.pageSize) : texts;
  return { entities: `[${shown.join(',')}]`, hasNextPage };
}

function pagingOf(paging: unknown): { readonly page: number; readonly pageSize: number } {
  const { entities_per_page: pageSize, current_page: page } = (paging ?? {}) as Readonly<
    Record<string, unknown>
  >;
  if (!Number.isSafeInteger(pageSize) || (pageSize as number) < 1 || (pageSize as number) > PAGE_SIZE_MAX) {
    throw new NotCompiled('invalid read', 'entities_per_page');
  }
  if (!Number.isSafeInteger(page) || (page as number) < 1 || (page as number) > PAGE_MAX) {
    throw new NotCompiled('invalid read', 'current_page');
  }
  return { page: page as number, pageSize: pageSize as number };
}

function fieldsOf(fields: unknown): readonly string[] {
  if (fields === undefined) return [];
  if (!Array.isArray(fields) || !fields.every((field) => typeof field === 'string')) {
    throw new NotCompiled('invalid read', 'return_fields');
  }
  if (fields.length > FIELDS_MAX) throw new NotCompiled('too many fields');
  return fields as readonly string[];
}

function isRetired(returnOnly: unknown): boolean {
  if (returnOnly === undefined || returnOnly === 'active') return false;
  if (returnOnly === 'retired') return true;
  throw new NotCompiled('invalid read', 'return_only');
}

/** Rows whose project is archived are hidden; rows without a project stay (protocol §4.5). */
function notArchived(scope: Scope): string {
  const { root } = scope;
  const project = scope.field(root, 'project');
  if (project.kind !== 'link') throw new NotCompiled('invalid read', 'project');
  const projects = scope.inner('Project').root;
  const archived = scope.field(projects, 'archived');
  if (archived.kind !== 'column') throw new NotCompiled('field not kept', 'Project.archived');
  return `not exists (select from ${projects.table.sqlName} ${projects.alias}
    where ${root.alias}.${project.typeColumn} = 'Project' and ${projects.alias}.id = ${root.alias}.${project.idColumn}
    and ${projects.alias}._active and ${projects.alias}.${archived.column})`;
}
