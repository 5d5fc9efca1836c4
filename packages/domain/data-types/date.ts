import type { DataType } from './data-type.ts';
import { certain, parseDate } from './parsers.ts';

/** A day without a zone, YYYY-MM-DD. */
export const dateDataType: DataType = {
  name: 'date',
  storage: 'date',
  family: 'date',
  relations: [
    'is',
    'is_not',
    'greater_than',
    'less_than',
    'between',
    'in',
    'not_in',
    'in_last',
    'not_in_last',
    'in_next',
    'not_in_next',
    'in_calendar_day',
    'in_calendar_week',
    'in_calendar_month',
    'in_calendar_year',
  ],
  sortable: true,
  parse: parseDate,
  parseEventValue: certain(parseDate),
};
