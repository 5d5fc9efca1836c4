import type { Json } from '@understudy/domain/entity';
import type { Entity } from '../entity-table.ts';
import { fieldAt, valueReader } from '../rows.ts';
import type { SandboxField } from '../sandbox-schema.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';
import { type Group, groupingOf, groupKey } from '../summaries/grouping.ts';
import { type SummaryInput, summaryOf } from '../summaries/summary.ts';
import { compareValues, matching, typedPayload } from './read.ts';

interface Summary {
  readonly path: string;
  readonly field: SandboxField;
  readonly asked: Json;
  readonly make: (input: SummaryInput) => Json;
  readonly valueIn: (entity: Entity) => Json;
}

interface Grouping {
  readonly sign: 1 | -1;
  readonly groupOf: (entity: Entity) => Group;
}

type Item = Readonly<Record<string, Json>>;

function items(name: string, value: Json | undefined): readonly Item[] {
  const fits = (item: unknown): boolean =>
    typeof (item as { field?: unknown } | null)?.field === 'string' &&
    typeof (item as { type?: unknown }).type === 'string';
  if (!Array.isArray(value) || !value.every(fits)) {
    throw badRequest(`API summarize() invalid/missing array '${name}': ${JSON.stringify(value)}`);
  }
  return value as unknown as Item[];
}

function fieldOf(
  view: SiteView,
  type: string,
  item: Item,
): { path: string; field: SandboxField; kind: string } {
  const path = String(item['field']);
  const field = fieldAt(view, type, path);
  if (field === undefined) throw badRequest(`API summarize() ${type}.${path} doesn't exist.`);
  return { path, field, kind: String(item['type']) };
}

function parseSummary(view: SiteView, type: string, item: Item): Summary {
  const { path, field, kind } = fieldOf(view, type, item);
  const make = summaryOf(kind, field);
  if (make === undefined) {
    throw badRequest(
      `API summarize() ${type}.${path}'s '${field.dataType}' data type doesn't support '${kind}' summary`,
    );
  }
  return { path, field, asked: item['value'] ?? null, make, valueIn: valueReader(view, type, path) };
}

function parseGrouping(view: SiteView, type: string, item: Item): Grouping {
  const { path, field, kind } = fieldOf(view, type, item);
  const group = groupingOf(kind, field);
  const direction = item['direction'] ?? 'asc';
  if (group === undefined) {
    throw badRequest(
      `API summarize() ${type}.${path}'s '${field.dataType}' data type doesn't support '${kind}' grouping`,
    );
  }
  if (direction !== 'asc' && direction !== 'desc') {
    throw badRequest(`API summarize() invalid 'direction': ${JSON.stringify(direction)}`);
  }
  const valueIn = valueReader(view, type, path);
  return { sign: direction === 'desc' ? -1 : 1, groupOf: (entity) => group(valueIn(entity)) };
}

/** One per field: a second on the same field overwrites (protocol §5.5). */
function summarizeRows(rows: readonly Entity[], summaries: readonly Summary[]): Json {
  return Object.fromEntries(
    summaries.map(({ path, field, asked, make, valueIn }) => [
      path,
      make({ field, asked, values: rows.map(valueIn) }),
    ]),
  );
}

function groups(
  rows: readonly Entity[],
  groupings: readonly Grouping[],
  summaries: readonly Summary[],
): Json[] {
  const [first, ...further] = groupings;
  if (first === undefined) return [];
  const found = new Map<string, { readonly group: Group; readonly rows: Entity[] }>();
  for (const entity of rows) {
    const group = first.groupOf(entity);
    const key = groupKey(group);
    const known = found.get(key) ?? { group, rows: [] };
    known.rows.push(entity);
    found.set(key, known);
  }
  const ordered = [...found.values()].sort(({ group: a }, { group: b }) => {
    if (a.order === null || b.order === null) {
      return a.order === b.order ? 0 : (a.order === null ? 1 : -1) * first.sign;
    }
    const order = compareValues(a.order, b.order) * first.sign;
    return order !== 0 ? order : groupKey(a) < groupKey(b) ? -1 : 1;
  });
  return ordered.map(({ group, rows: members }) => ({
    group_name: group.name,
    group_value: group.value,
    summaries: summarizeRows(members, summaries),
    ...(further.length > 0 ? { groups: groups(members, further, summaries) } : {}),
  }));
}

/** `summarize` (protocol §5.5). */
export function summarize(view: SiteView, rawPayload: unknown): Json {
  const payload = typedPayload(view, rawPayload);
  const { type } = payload;
  const summaries = items('summaries', payload['summaries']).map((item) => parseSummary(view, type, item));
  const asked = payload['grouping'] ?? null;
  const groupings = (asked === null ? [] : items('grouping', asked)).map((item) =>
    parseGrouping(view, type, item),
  );
  const rows = [...matching(view, payload)];
  return { summaries: summarizeRows(rows, summaries), groups: groups(rows, groupings, summaries) };
}
