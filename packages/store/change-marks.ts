import type { Queryable } from './database.ts';
import type { EntityTable } from './entity-tables.ts';

const TRIGGER = 'mark_change';

/** Every table that holds rows or links of some types, as SQL names them. */
function tablesOf(tables: readonly EntityTable[]): readonly string[] {
  const names = tables.flatMap((table) => [
    table.sqlName,
    ...[...table.fields.values()].flatMap((storage) => (storage.kind === 'links' ? [storage.table] : [])),
  ]);
  // Views, which look like a type's table, are elsewhere: they leave no marks.
  return names.filter((name) => name.startsWith('site.'));
}

/**
 * Lets every table leave a mark, its own name, in each transaction that writes to it, whoever writes: a statement costs
 * one row for it, however many rows it changes. Whatever copies rows in with triggers switched off leaves marks as well.
 * @returns the statements that add what is missing.
 */
export async function missingChangeMarks(
  q: Queryable,
  tables: readonly EntityTable[],
): Promise<readonly string[]> {
  const { rows } = await q.query<{ text: string }>(MARKED.text);
  const marked = new Set(rows.map((row) => row.text));
  return tablesOf(tables)
    .filter((name) => !marked.has(name))
    .map(
      (name) => `create or replace trigger ${TRIGGER} after insert or update or delete or truncate on ${name}
      for each statement execute function understudy.mark_change('${name.replaceAll("'", "''")}');
      alter table ${name} enable always trigger ${TRIGGER}`,
    );
}

/** The tables that leave marks, by the names of these. */
export const MARKED = {
  name: 'marked-tables',
  text: `select case when n.nspname = 'site' then format('site."%s"', c.relname) else 'understudy.' || c.relname end as text
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('site', 'understudy') and t.tgname = '${TRIGGER}' and t.tgenabled = 'A'
    and c.relname !~ '\\s'`,
} as const;

/**
 * Which transactions a statement sees: while this stays the same, none that could have changed anything has ended. It
 * takes PostgreSQL a third of what `CHANGES_SINCE` does.
 */
export const SNAPSHOT = { name: 'snapshot', text: 'select pg_current_snapshot()::text' } as const;

/**
 * What was changed by transactions that a snapshot ($1, null for the first time) does not see and the statement does:
 * gives the statement's own snapshot and the marks, with spaces between them.
 */
export const CHANGES_SINCE = {
  name: 'changes-since',
  text: `select pg_current_snapshot()::text || coalesce((select ' ' || string_agg(distinct mark, ' ')
    from understudy.change_mark where xid >= pg_snapshot_xmin($1::pg_snapshot)
    and not pg_visible_in_snapshot(xid, $1::pg_snapshot)), '')`,
} as const;

/** The tables that a statement reads, by the names of their marks; null where it reads anything else of ours. */
export function marksOf(sql: string): readonly string[] | null {
  const marks = new Set(sql.match(/\bsite\."[^"]+"|\bunderstudy\.\w+/g));
  for (const mark of marks) if (!mark.startsWith('site.') && mark !== 'understudy.link_target') return null;
  return [...marks];
}

/** Begins a mark which says that those of transactions below a number have been forgotten. */
const FORGOTTEN = '<';

/**
 * Forgets marks of transactions that had ended before a snapshot was taken, and leaves one that says so: whoever would
 * ask what happened since an even earlier one learns that nobody knows.
 */
export async function forgetChangeMarks(q: Queryable, snapshot: string): Promise<void> {
  await q.query(
    `with forgotten as (
      delete from understudy.change_mark where xid < pg_snapshot_xmin($1::pg_snapshot) returning 1)
    insert into understudy.change_mark (mark)
      select '${FORGOTTEN}' || pg_snapshot_xmin($1::pg_snapshot) where exists (select from forgotten)
      on conflict do nothing`,
    [snapshot],
  );
}

/** Whether marks (as CHANGES_SINCE gives them) may lack some of those since a snapshot: they had been forgotten. */
export function areForgottenSince(snapshot: string, marks: readonly string[]): boolean {
  const first = BigInt(snapshot.slice(0, snapshot.indexOf(':')));
  return marks.some((mark) => mark.startsWith(FORGOTTEN) && BigInt(mark.slice(FORGOTTEN.length)) > first);
}
