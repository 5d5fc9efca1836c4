import type { DataType } from './data-type.ts';
import { certain, parseNumber } from './parsers.ts';

export const floatDataType: DataType = {
  name: 'float',
  storage: 'double',
  family: 'number',
  relations: ['is', 'is_not', 'less_than', 'greater_than', 'between', 'in', 'not_in'],
  sortable: true,
  parse: parseNumber,
  parseEventValue: certain(parseNumber),
};
