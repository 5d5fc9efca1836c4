import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

/** "FF-ff" text. */
export const footageDataType: DataType = {
  name: 'footage',
  storage: 'text',
  family: 'number',
  relations: ['is', 'is_not', 'less_than', 'greater_than', 'between', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  parseEventValue: certain(parseText),
};
