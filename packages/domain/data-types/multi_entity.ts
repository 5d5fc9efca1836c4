import type { DataType } from './data-type.ts';
import { certain, parseLinks } from './parsers.ts';

/** Never null; events say what was added and removed. */
export const multiEntityDataType: DataType = {
  name: 'multi_entity',
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
  ],
  sortable: false,
  parse: parseLinks,
  parseEventValue: certain(parseLinks),
};
