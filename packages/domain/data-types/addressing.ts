import type { DataType } from './data-type.ts';
import { inDoubt, parseLinks } from './parsers.ts';

/** Links to people and groups, e.g. Note.addressings_to; some schemas report them as multi_entity. */
export const addressingDataType: DataType = {
  name: 'addressing',
  storage: 'links',
  family: 'links',
  relations: [
    'is',
    'is_not',
    'in',
    'not_in',
    'type_is',
    'type_is_not',
    'name_is',
    'name_contains',
    'name_not_contains',
    'contains',
    'not_contains',
    'name_starts_with',
    'name_ends_with',
  ],
  sortable: false,
  parse: parseLinks,
  parseEventValue: inDoubt,
};
