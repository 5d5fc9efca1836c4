import type { DataType } from './data-type.ts';
import { inDoubt, parseText } from './parsers.ts';

/** Always "*******" on the wire; never kept. */
export const passwordDataType: DataType = {
  name: 'password',
  storage: 'none',
  family: 'none',
  relations: [],
  sortable: false,
  parse: parseText,
  parseEventValue: inDoubt,
};
