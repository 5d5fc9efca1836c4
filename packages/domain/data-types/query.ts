import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

/** A rollup that the server computes. */
export const queryDataType: DataType = {
  name: 'query',
  storage: 'none',
  family: 'none',
  relations: [],
  sortable: false,
  parse: parseJson,
  parseEventValue: inDoubt,
};
