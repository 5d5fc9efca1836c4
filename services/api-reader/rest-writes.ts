import { type EntityRef, isEntityRef } from '@understudy/domain/entity';
import { own } from './envelope.ts';
import { filesIn, linksIn, mayBeLinks, type WriteRequest } from './write-requests.ts';

/** Writes of the REST API are passed on as they are (protocol §7.2); this only finds out what they change. */

const ENTITY_PATH = /^\/api\/v[0-9.]+\/entity\/([^/?]+)(?:\/([0-9]+))?(\/[^?]*)?(\?.*)?$/;
const READS = new Set(['_search', '_summarize', '_text_search']);
const READ_PATH =
  /^(\/next=[^/]*)?\/api\/v[0-9.]+\/(auth\/access_token|entity\/(.+\/)?(_search|_summarize|_text_search))(\?|$)/;

/** Whether what is sent to a path changes nothing, so that it may be sent again. @param path as it came, with the query. */
export const isRestRead = (path: string): boolean => READ_PATH.test(path);

/** `HumanUser` → `human_users`, `Status` → `statuses`, `TimeLog` → `time_logs` (protocol §7.2). */
function restName(type: string): string {
  const snake = type.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
  if (/(s|x|ch|sh)$/.test(snake)) return `${snake}es`;
  return /[^aeiou]y$/.test(snake) ? `${snake.slice(0, -1)}ies` : `${snake}s`;
}

function typeNamed(name: string, types: Iterable<string>): string | null {
  const wanted = name.replaceAll('__', '_');
  for (const type of types) if (type === name || restName(type) === wanted) return type;
  return null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function requestOf(kind: WriteRequest['kind'], type: string, id: number | null, data: unknown): WriteRequest {
  const values = isObject(data) ? data : {};
  // A list that is added to or taken from: `{"multi_entity_update_mode": …, "value": […]}`.
  const given = Object.values(values).map((value) =>
    isObject(value) && Object.hasOwn(value, 'multi_entity_update_mode') ? own(value, 'value') : value,
  );
  const [links, relinks] = [given.flatMap(linksIn), given.some(mayBeLinks)];
  return { kind, type, id, fields: Object.keys(values), links, relinks };
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

/**
 * @param path with the query.
 * @param body the beginning of it: one that is longer says nothing but what the path says.
 * @param types the names of types that are kept.
 * @returns what a request asks to be changed; empty where it only reads, or what it changes is not known.
 */
export function restWrites(
  method: string,
  path: string,
  body: Buffer,
  types: Iterable<string>,
): readonly WriteRequest[] {
  const match = ENTITY_PATH.exec(path);
  if (match === null || method === 'GET' || method === 'HEAD') return [];
  const [, name = '', idText, rest = '', query = ''] = match;
  const known = [...types];
  if (name === '_batch') return batchWrites(parsed(body), known);
  const type = typeNamed(name, known);
  if (type === null || READS.has(rest.slice(1))) return [];
  const id = idText === undefined ? null : Number(idText);
  if (method === 'DELETE') return [requestOf('delete', type, id, null)];
  // Uploads, relationships and followers below an entity: it is fetched, whatever they do.
  if (rest !== '' && rest !== '/') return id === null ? [] : [requestOf('update', type, id, null)];
  if (/[?&]revive=/.test(query)) return [requestOf('revive', type, id, null)];
  return [requestOf(id === null ? 'create' : 'update', type, id, parsed(body))];
}

function batchWrites(body: unknown, types: readonly string[]): readonly WriteRequest[] {
  const requests = isObject(body) ? own(body, 'requests') : undefined;
  if (!Array.isArray(requests)) return [];
  return requests.flatMap((request: unknown) => {
    if (!isObject(request)) return [];
    const type = typeNamed(String(own(request, 'entity')), types);
    const kind = own(request, 'request_type');
    if (type === null || (kind !== 'create' && kind !== 'update' && kind !== 'delete')) return [];
    const id = own(request, 'record_id');
    return [requestOf(kind, type, typeof id === 'number' ? id : null, own(request, 'data'))];
  });
}

/** The rows that a reply holds, those made by the request among them, and the files that these link to. */
export function restSubjects(requests: readonly WriteRequest[], reply: Buffer): readonly EntityRef[] {
  const named = requests.flatMap(({ type, id }) => (id === null ? [] : [{ type, id }]));
  const body = parsed(reply);
  const data = isObject(body) ? own(body, 'data') : undefined;
  const rows = (Array.isArray(data) ? data : [data]).flatMap((item: unknown) =>
    isObject(item) && isObject(own(item, 'data')) ? [own(item, 'data')] : [item],
  );
  const made = (rows as readonly unknown[]).flatMap((row) =>
    isEntityRef(row) && isObject(row)
      ? [{ type: row.type, id: row.id }, ...filesIn(own(row, 'attributes'))]
      : [],
  );
  return [...named, ...made];
}
