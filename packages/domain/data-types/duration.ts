import type { DataType } from './data-type.ts';
import { certain, parseInteger } from './parsers.ts';

/** Minutes. */
export const durationDataType: DataType = {
  name: 'duration',
  storage: 'integer',
  family: 'number',
  relations: ['is', 'is_not', 'less_than', 'greater_than', 'between', 'in', 'not_in'],
  sortable: true,
  parse: parseInteger,
  parseEventValue: certain(parseInteger),
};
