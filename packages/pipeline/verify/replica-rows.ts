import type { EntityRow } from '@understudy/domain/entity';
import { compileRead, pageOf } from '@understudy/query/compile-read';
import { boundAt } from '@understudy/query/sql';
import type { FilterGroup } from '@understudy/site-client/filters';
import type { Replica } from '../replica.ts';

/** Rows of one type in a range of ids (both ends belong to it). */
export interface ReplicaRequest {
  readonly type: string;
  readonly fields: readonly string[];
  readonly returnOnly: 'active' | 'retired';
  readonly filters: FilterGroup;
}

/** Rows that one statement gives. */
const PAGE_SIZE = 500;

/**
 * What a reader would answer: rows in order of ids, page by page, through the same statement as its own, links with
 * their names. Types are read whether they may be served yet or not.
 * @throws Error when the read would not be answered from the replica.
 */
export async function* replicaRows(
  replica: Pick<Replica, 'db' | 'schema'>,
  request: ReplicaRequest,
): AsyncGenerator<EntityRow> {
  const servedTypes = new Set(replica.schema.types.keys());
  for (let after = 0; ; ) {
    const payload = {
      type: request.type,
      return_fields: [...request.fields],
      filters: {
        logical_operator: 'and',
        conditions: [{ path: 'id', relation: 'greater_than', values: [after] }, request.filters],
      },
      return_only: request.returnOnly,
      sorts: [{ field_name: 'id', direction: 'asc' }],
      paging: { entities_per_page: PAGE_SIZE, current_page: 1 },
    };
    const read = compileRead(payload, { schema: replica.schema, servedTypes });
    if ('passThrough' in read) {
      throw new Error(
        `${request.type} cannot be read from the replica: ${read.passThrough} (${read.detail})`,
      );
    }
    const { rows } = await replica.db.pool.query<{ entity: string }>(
      read.sql,
      boundAt(read.params, new Date()),
    );
    const { entities: text, hasNextPage } = pageOf(
      read,
      rows.map((row) => row.entity),
    );
    const entities = JSON.parse(text) as EntityRow[];
    yield* entities;
    const last = entities.at(-1);
    if (last === undefined || !hasNextPage) return;
    after = last.id;
  }
}
