import type { DataType } from './data-type.ts';
import { certain, parseInteger } from './parsers.ts';

/** 50 means 50 %. */
export const percentDataType: DataType = {
  name: 'percent',
  storage: 'integer',
  family: 'number',
  relations: ['is', 'is_not', 'less_than', 'greater_than', 'between', 'in', 'not_in'],
  sortable: true,
  parse: parseInteger,
  parseEventValue: certain(parseInteger),
};
