import type { DataType } from './data-type.ts';
import { certain, parseNumber } from './parsers.ts';

export const currencyDataType: DataType = {
  name: 'currency',
  storage: 'numeric',
  family: 'number',
  relations: ['is', 'is_not', 'less_than', 'greater_than', 'between', 'not_between', 'in', 'not_in'],
  sortable: true,
  parse: parseNumber,
  parseEventValue: certain(parseNumber),
};
