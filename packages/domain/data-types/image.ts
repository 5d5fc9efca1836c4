import type { DataType } from './data-type.ts';
import { inDoubt, parseText } from './parsers.ts';

/** A signed, expiring address: passed through (protocol §3.5). */
export const imageDataType: DataType = {
  name: 'image',
  storage: 'none',
  family: 'image',
  relations: ['is', 'is_not'],
  sortable: false,
  parse: parseText,
  parseEventValue: inDoubt,
};
