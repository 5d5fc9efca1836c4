import type { EntityLink, EntityRow, Json } from '@understudy/domain/entity';
import { tableName } from '@understudy/store/entity-tables';
import type pg from 'pg';

/** Columns of the plain tables: a value of the row, or half of a link. */
const COLUMNS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Shot: {
    id: 'int',
    code: 'text',
    sg_status_list: 'text',
    description: 'text',
    sg_sequence_type: 'text',
    sg_sequence_id: 'int',
    project_type: 'text',
    project_id: 'int',
    sg_cut_in: 'int',
    sg_cut_out: 'int',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
  Task: {
    id: 'int',
    content: 'text',
    sg_status_list: 'text',
    step_type: 'text',
    step_id: 'int',
    entity_type: 'text',
    entity_id: 'int',
    project_type: 'text',
    project_id: 'int',
    start_date: 'date',
    due_date: 'date',
    updated_at: 'timestamptz',
  },
  Version: {
    id: 'int',
    code: 'text',
    sg_status_list: 'text',
    description: 'text',
    entity_type: 'text',
    entity_id: 'int',
    sg_task_type: 'text',
    sg_task_id: 'int',
    user_type: 'text',
    user_id: 'int',
    project_type: 'text',
    project_id: 'int',
    created_at: 'timestamptz',
    sg_path_to_movie: 'text',
  },
};

function cell(row: EntityRow, column: string): Json {
  const half = /^(.+)_(type|id)$/.exec(column);
  if (half === null) return row[column] ?? null;
  const link = row[half[1] ?? ''] as EntityLink | null | undefined;
  return link?.[half[2] as 'type' | 'id'] ?? null;
}

/** Writes rows into the plain tables in the plainest way that is set-based; the people on a Task as well. */
export async function plainUpsert(
  client: pg.Client,
  type: string,
  rows: readonly EntityRow[],
): Promise<void> {
  const columns = Object.entries(COLUMNS[type] ?? {});
  const names = columns.map(([name]) => name);
  await client.query('begin');
  await client.query({
    name: `plain-upsert-${type}`,
    text: `insert into site.${tableName(type)} (${names.join(', ')})
      select * from unnest(${columns.map(([, cast], index) => `$${index + 1}::${cast}[]`).join(', ')})
      on conflict (id) do update set ${names.map((name) => `${name} = excluded.${name}`).join(', ')}`,
    values: names.map((name) => rows.map((row) => cell(row, name))),
  });
  if (type === 'Task') {
    const links = rows.flatMap((row) =>
      (row['task_assignees'] as unknown as readonly EntityLink[]).map((link) => ({
        task: row.id,
        type: link.type,
        id: link.id,
      })),
    );
    await client.query({
      name: 'plain-upsert-assignees',
      text: `insert into site.task__task_assignees select * from unnest($1::int[], $2::text[], $3::int[])
        on conflict do nothing`,
      values: [links.map((link) => link.task), links.map((link) => link.type), links.map((link) => link.id)],
    });
  }
  await client.query('commit');
}
