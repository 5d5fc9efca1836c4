import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

/** The status code. */
export const statusListDataType: DataType = {
  name: 'status_list',
  storage: 'text',
  family: 'choice',
  relations: ['is', 'is_not', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  parseEventValue: certain(parseText),
};
