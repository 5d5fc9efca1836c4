import { and, type FilterLeaf, leaf } from '@understudy/site-client/filters';
import { entityTable } from '@understudy/store/entity-tables';
import { fetchedFields } from '@understudy/store/merge/fetched';
import type { Replica } from '../replica.ts';
import { replicaRows } from '../verify/replica-rows.ts';
import { formatDataLine } from './data-line.ts';

export interface DumpOptions {
  readonly types: readonly string[];
  /** Only entities of these projects, and the projects. */
  readonly projects?: readonly number[];
  /** Only these fields, of the types that have them; all that are kept unless told. */
  readonly fields?: readonly string[];
}

/** Lines in one piece of output. */
const LINES_AT_ONCE = 500;

/**
 * Entities as JSON lines, alive and retired, type by type in order of ids, as a reader answers them. They are read page
 * by page: memory stays flat however many there are.
 * @returns pieces of text, each of whole lines.
 */
export async function* dumpEntities(
  replica: Replica,
  options: DumpOptions,
): AsyncGenerator<{ readonly type: string; readonly count: number; readonly text: string }> {
  for (const type of options.types) {
    const cached = replica.schema.types.get(type);
    if (cached === undefined) continue;
    const all = fetchedFields(entityTable(cached));
    const fields = options.fields === undefined ? all : all.filter((name) => options.fields?.includes(name));
    const conditions: FilterLeaf[] = [];
    if (options.projects !== undefined) {
      if (type === 'Project') conditions.push(leaf('id', 'in', ...options.projects));
      else if (cached.fields.get('project')?.dataType === 'entity')
        conditions.push(leaf('project', 'in', ...options.projects.map((id) => ({ type: 'Project', id }))));
      else continue;
    }
    for (const returnOnly of ['active', 'retired'] as const) {
      let lines: string[] = [];
      for await (const row of replicaRows(replica, {
        type,
        fields,
        filters: and(...conditions),
        returnOnly,
      })) {
        lines.push(formatDataLine({ row, active: returnOnly === 'active' }));
        if (lines.length < LINES_AT_ONCE) continue;
        yield { type, count: lines.length, text: `${lines.join('\n')}\n` };
        lines = [];
      }
      if (lines.length > 0) yield { type, count: lines.length, text: `${lines.join('\n')}\n` };
    }
  }
}
