import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

/** Deprecated by the site. */
export const systemTaskTypeDataType: DataType = {
  name: 'system_task_type',
  storage: 'text',
  family: 'choice',
  relations: ['is', 'is_not', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  parseEventValue: certain(parseText),
};
