import type { DataType } from './data-type.ts';
import { certain, parseInteger } from './parsers.ts';

/** Signed 32 bit; 0 is not null. */
export const numberDataType: DataType = {
  name: 'number',
  storage: 'integer',
  family: 'number',
  relations: ['is', 'is_not', 'less_than', 'greater_than', 'between', 'not_between', 'in', 'not_in'],
  sortable: true,
  parse: parseInteger,
  parseEventValue: certain(parseInteger),
};
