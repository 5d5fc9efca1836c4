import { UNKEPT } from '../kept-text.ts';
import type { DataType } from './data-type.ts';
import { certain, parseText } from './parsers.ts';

const eventText = certain(parseText);
const IN_DOUBT = new RegExp(`<|&lt;|${UNKEPT}`);

/** Empty is null. */
export const textDataType: DataType = {
  name: 'text',
  storage: 'text',
  family: 'text',
  relations: ['is', 'is_not', 'contains', 'not_contains', 'starts_with', 'ends_with', 'in', 'not_in'],
  sortable: true,
  parse: parseText,
  // A site gives `<` as `&lt;` in rows (protocol §1.5); how it writes it in events is not known.
  parseEventValue: (value) =>
    typeof value === 'string' && IN_DOUBT.test(value) ? undefined : eventText(value),
};
