import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

/** Holds a signed, expiring address: passed through (protocol §3.5). */
export const urlDataType: DataType = {
  name: 'url',
  storage: 'none',
  family: 'none',
  relations: [],
  sortable: false,
  parse: parseJson,
  parseEventValue: inDoubt,
};
