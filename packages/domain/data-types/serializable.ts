import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

/** Any decoded JSON. */
export const serializableDataType: DataType = {
  name: 'serializable',
  storage: 'jsonb',
  family: 'none',
  relations: [],
  sortable: false,
  parse: parseJson,
  parseEventValue: inDoubt,
};
