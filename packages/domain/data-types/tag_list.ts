import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

/** Legacy list of strings. Its filters take names or links depending on the site, so they pass through. */
export const tagListDataType: DataType = {
  name: 'tag_list',
  storage: 'jsonb',
  family: 'none',
  relations: [],
  sortable: false,
  parse: parseJson,
  parseEventValue: inDoubt,
};
