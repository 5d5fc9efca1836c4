import type { DataType } from './data-type.ts';
import { inDoubt, parseJson } from './parsers.ts';

/** Rendered by the server. */
export const urlTemplateDataType: DataType = {
  name: 'url_template',
  storage: 'none',
  family: 'none',
  relations: [],
  sortable: false,
  parse: parseJson,
  parseEventValue: inDoubt,
};
