import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

/** Empty is null. */
export const textDataType: DataType = {
  name: 'text',
  storage: 'text',
  family: 'text',
  relations: ['is', 'is_not', 'contains', 'not_contains', 'starts_with', 'ends_with', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  parseEventValue: certain(parseText),
};
