import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

/** Case-sensitive in filters. */
export const entityTypeDataType: DataType = {
  name: 'entity_type',
  storage: 'text',
  family: 'choice',
  relations: ['is', 'is_not', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  parseEventValue: certain(parseText),
};
