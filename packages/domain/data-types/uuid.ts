import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

/** Lower case, made by the server. */
export const uuidDataType: DataType = {
  name: 'uuid',
  storage: 'uuid',
  family: 'uuid',
  relations: ['is', 'is_not', 'in', 'not_in'],
  sortable: false,
  parse: parseText,
  parseEventValue: certain(parseText),
};
