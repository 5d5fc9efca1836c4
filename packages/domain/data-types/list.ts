import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

export const listDataType: DataType = {
  name: 'list',
  storage: 'text',
  family: 'choice',
  relations: ['is', 'is_not', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  parseEventValue: certain(parseText),
};
