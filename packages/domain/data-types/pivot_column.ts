import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

/** Always null through the API. */
export const pivotColumnDataType: DataType = {
  name: 'pivot_column',
  storage: 'none',
  family: 'none',
  relations: [],
  sortable: false,
  parse: parseJson,
  parseEventValue: inDoubt,
};
