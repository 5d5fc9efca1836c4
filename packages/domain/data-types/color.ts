import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

/** "r,g,b", or "pipeline_step" on a Task. */
export const colorDataType: DataType = {
  name: 'color',
  storage: 'text',
  family: 'choice',
  relations: ['is', 'is_not', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  parseEventValue: certain(parseText),
};
