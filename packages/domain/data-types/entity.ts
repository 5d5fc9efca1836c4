import type { DataType } from './data-type.ts';
import { certain, parseLink } from './parsers.ts';

export const entityDataType: DataType = {
  name: 'entity',
  storage: 'link',
  family: 'link',
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
  sortable: true,
  parse: parseLink,
  parseEventValue: certain(parseLink),
};
