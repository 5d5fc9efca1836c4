import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

export const jsonbDataType: DataType = {
  name: 'jsonb',
  storage: 'jsonb',
  family: 'json',
  relations: ['is', 'is_not', 'contains', 'not_contains'],
  sortable: false,
  parse: parseJson,
  parseEventValue: inDoubt,
};
