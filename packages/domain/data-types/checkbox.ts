import type { DataType } from './data-type.ts';
import { certain, parseCheckbox } from './parsers.ts';

/** Never null. */
export const checkboxDataType: DataType = {
  name: 'checkbox',
  storage: 'boolean',
  family: 'checkbox',
  relations: ['is', 'is_not'],
  sortable: true,
  parse: parseCheckbox,
  parseEventValue: certain(parseCheckbox),
};
