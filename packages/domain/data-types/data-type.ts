import type { Json } from '../entity.ts';

/** Every data type a site's schema may name (protocol §3.5). */
export const DATA_TYPE_NAMES = [
  'addressing',
  'calculated',
  'checkbox',
  'color',
  'currency',
  'date',
  'date_time',
  'duration',
  'entity',
  'entity_type',
  'float',
  'footage',
  'image',
  'jsonb',
  'list',
  'multi_entity',
  'number',
  'password',
  'percent',
  'pivot_column',
  'query',
  'serializable',
  'status_list',
  'summary',
  'system_task_type',
  'tag_list',
  'text',
  'timecode',
  'url',
  'url_template',
  'uuid',
] as const;
export type DataTypeName = (typeof DATA_TYPE_NAMES)[number];

/** Every filter relation of protocol §4.2. */
export type Relation =
  | 'is'
  | 'is_not'
  | 'in'
  | 'not_in'
  | 'contains'
  | 'not_contains'
  | 'starts_with'
  | 'ends_with'
  | 'less_than'
  | 'greater_than'
  | 'between'
  | 'not_between'
  | 'in_last'
  | 'not_in_last'
  | 'in_next'
  | 'not_in_next'
  | 'in_calendar_day'
  | 'in_calendar_week'
  | 'in_calendar_month'
  | 'in_calendar_year'
  | 'type_is'
  | 'type_is_not'
  | 'name_is'
  | 'name_contains'
  | 'name_not_contains'
  | 'name_starts_with'
  | 'name_ends_with'
  | 'name_id';

/**
 * How the replica keeps a value. `link` is two columns (`<field>__type`, `<field>__id`), `links` a table of
 * its own, `none` is never kept: reads that ask for it pass through.
 */
export type Storage =
  | 'text'
  | 'integer'
  | 'double'
  | 'numeric'
  | 'boolean'
  | 'date'
  | 'timestamptz'
  | 'uuid'
  | 'jsonb'
  | 'link'
  | 'links'
  | 'none';

/** The families of operators; a filter operator of packages/query belongs to one. */
export type FilterFamily =
  | 'text'
  | 'number'
  | 'date'
  | 'date_time'
  | 'checkbox'
  | 'choice'
  | 'link'
  | 'links'
  | 'image'
  | 'json'
  | 'uuid'
  | 'none';

export class ValueError extends Error {
  override name = 'ValueError';
}

/** What the project knows of one data type: its column, its JSON and its operators (protocol §3.5, §4.2). */
export interface DataType {
  readonly name: DataTypeName;
  readonly storage: Storage;
  readonly family: FilterFamily;
  /** The relations a filter may use, in the order the site lists them; empty where filtering is refused. */
  readonly relations: readonly Relation[];
  /** Whether a `sorts` entry on it orders rows; the site ignores the others silently (protocol §3.4). */
  readonly sortable: boolean;
  /**
   * Takes a value as the site sends it in a row and gives it in canonical wire form (for instance `[]` for a
   * missing list of links, links cut down to type, id and name).
   * @throws {ValueError} when the value has a shape the data type never has.
   */
  parse(wire: unknown): Json;
  /**
   * Takes a value found in an event's `meta` and gives the canonical wire form, or `undefined` where the
   * meaning is not certain (protocol §6.3, §6.4) and the row must be fetched instead.
   */
  parseEventValue(value: unknown): Json | undefined;
}
