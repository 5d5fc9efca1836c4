import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { Queryable } from './database.ts';

/** Stands for the rows of a type: served once all of them are here. Every type has it. */
export const ROWS = 'id';

/** One field that merges store now, without a break since an epoch. */
export interface FollowedField {
  readonly type: string;
  /** A field's name, or `ROWS`. */
  readonly field: string;
  readonly dataType: string;
  readonly sinceEpoch: number;
  /** Whether a scan has brought every row's value since, so that readers may serve it. */
  readonly isServed: boolean;
}

interface FieldRow {
  readonly entity_type: string;
  readonly field: string;
  readonly data_type: string;
  readonly since_epoch: string;
  readonly served: boolean;
}

export async function followedFields(q: Queryable): Promise<readonly FollowedField[]> {
  const { rows } = await q.query<FieldRow>(
    `select entity_type, field, data_type, since_epoch, served_at is not null as served
     from understudy.followed_field order by entity_type, field`,
  );
  return rows.map((row) => ({
    type: row.entity_type,
    field: row.field,
    dataType: row.data_type,
    sinceEpoch: Number(row.since_epoch),
    isServed: row.served,
  }));
}

/**
 * Records what is followed from an epoch on. What was followed before with the same data type stays as it is; what is
 * new or was interrupted is not served until it has been scanned.
 * @param renewed fields, as `Type.field`, whose values are in doubt though they were followed.
 */
export async function followFields(
  tx: Queryable,
  schema: CachedSchema,
  epoch: number,
  renewed: ReadonlySet<string> = new Set(),
): Promise<void> {
  const wanted = [...schema.types.values()].flatMap((type) => [
    { type: type.name, field: ROWS, data_type: 'number', renew: false },
    ...[...type.fields.values()].flatMap((field) =>
      field.absent
        ? []
        : [
            {
              type: type.name,
              field: field.name,
              data_type: field.dataType,
              renew: renewed.has(`${type.name}.${field.name}`),
            },
          ],
    ),
  ]);
  const json = JSON.stringify(wanted);
  const columns = 'type text, field text, data_type text, renew boolean';
  await tx.query(
    `delete from understudy.followed_field f where not exists (
       select from jsonb_to_recordset($1::jsonb) as r(${columns})
       where r.type = f.entity_type and r.field = f.field and r.data_type = f.data_type and not r.renew)`,
    [json],
  );
  await tx.query(
    `insert into understudy.followed_field (entity_type, field, data_type, since_epoch)
     select type, field, data_type, $2 from jsonb_to_recordset($1::jsonb) as r(${columns}) on conflict do nothing`,
    [json, epoch],
  );
}

/** Readers look at the version to learn that what they may serve has changed. */
async function changeVersion(tx: Queryable): Promise<void> {
  await tx.query('update understudy.schema_state set version = version + 1');
}

/**
 * Lets readers serve what a full scan of a type, or a scan of some of its fields, has brought, once its last chunk is
 * done: fields that were followed from before the scan was planned until now. To be called with the scan's row locked.
 * @returns how many fields.
 */
export async function serveScanned(tx: Queryable, scanId: number, type: string): Promise<number> {
  const { rowCount } = await tx.query(
    `update understudy.followed_field f set served_at = now() from understudy.scan s
     where s.id = $1 and s.kind in ('full', 'fields') and s.project_ids is null
       and f.entity_type = $2 and f.served_at is null and f.since_epoch <= s.epoch
       and not exists (select from understudy.scan_chunk c
         where c.scan_id = s.id and c.entity_type = $2 and c.state = 'open')
       and exists (select from understudy.scan_chunk c
         where c.scan_id = s.id and c.entity_type = $2 and (c.fields is null or f.field = any(c.fields)))`,
    [scanId, type],
  );
  if (rowCount !== null && rowCount > 0) await changeVersion(tx);
  return rowCount ?? 0;
}

/** Lets readers serve a type as it is here, for whoever filled it otherwise than by a scan. */
export async function serveType(tx: Queryable, type: string): Promise<void> {
  await tx.query(
    'update understudy.followed_field set served_at = now() where entity_type = $1 and served_at is null',
    [type],
  );
  await changeVersion(tx);
}

/** Whether readers serve rows of a type: all of them are here. */
export async function isTypeServed(q: Queryable, type: string): Promise<boolean> {
  const { rowCount } = await q.query(
    'select from understudy.followed_field where entity_type = $1 and field = $2 and served_at is not null',
    [type, ROWS],
  );
  return rowCount !== 0;
}

/** Has everything scanned again before it is served: the replica may have missed changes. */
export async function serveNothing(tx: Queryable): Promise<void> {
  await tx.query('update understudy.followed_field set served_at = null where served_at is not null');
  await changeVersion(tx);
}

/** What scans under way will let be served once they are done. */
export async function fieldsUnderScan(q: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await q.query<{ name: string }>(
    `select distinct f.entity_type || '.' || f.field as name from understudy.followed_field f
     join understudy.scan_chunk c on c.entity_type = f.entity_type and (c.fields is null or f.field = any(c.fields))
     join understudy.scan s on s.id = c.scan_id and s.kind in ('full', 'fields') and s.project_ids is null
       and s.finished_at is null and f.since_epoch <= s.epoch
     where f.served_at is null`,
  );
  return new Set(rows.map((row) => row.name));
}
