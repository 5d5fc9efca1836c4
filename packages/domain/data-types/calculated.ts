import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

/** Rendered by the server; no event says when it changes, so it is never kept. */
export const calculatedDataType: DataType = {
  name: 'calculated',
  storage: 'none',
  family: 'none',
  relations: [],
  sortable: true,
  parse: parseJson,
  parseEventValue: inDoubt,
};
