import { isEntityRef } from '@understudy/domain/entity';
import type { Entity } from '../entity-table.ts';
import { RawBody } from '../raw-body.ts';
import { badData, badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';

/**
 * `export_page` (protocol §5.9): what a page lists, as CSV. Columns of a page's layout are not known; these are the id and
 * the display name of each entity.
 * @throws SandboxFault where something is missing, or there is no such page.
 */
export function exportPage(view: SiteView, payload: unknown): RawBody {
  const { format, page_id: id } = (payload ?? {}) as { format?: unknown; page_id?: unknown };
  if (format === undefined || format === null) throw badRequest("API export_page() 'format' missing");
  if (id === undefined || id === null) throw badRequest("API export_page() 'page_id' missing");
  const page = Number.isSafeInteger(id) ? view.find({ type: 'Page', id: id as number }) : undefined;
  const listed = page?.stored('entity_type');
  if (page === undefined || typeof listed !== 'string' || view.type(listed) === undefined)
    throw badData(`Export for Page id=${String(id)} not available`);
  const project = page.stored('project');
  const isOn = (entity: Entity): boolean => {
    const own = entity.stored('project');
    return !isEntityRef(project) || (isEntityRef(own) && own.id === project.id);
  };
  const lines = [['Id', `${listed} Name`]];
  for (const entity of view.data.all(listed)) {
    if (!entity.retired && view.sees(entity) && isOn(entity))
      lines.push([String(entity.id), view.data.displayName(entity) ?? '']);
  }
  return new RawBody('text/csv; charset=utf-8', lines.map(csvLine).join(''));
}

const csvLine = (values: readonly string[]): string =>
  `${values.map((value) => `"${value.replaceAll('"', '""')}"`).join(',')}\r\n`;
