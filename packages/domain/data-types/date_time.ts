import type { DataType } from './data-type.ts';
import { certain, parseDateTime } from './parsers.ts';

/**
 * Exact to the second, UTC. The format inside an event is not known (protocol §6.4), so its values there are in doubt
 * unless they have the exact form of the wire.
 */
export const dateTimeDataType: DataType = {
  name: 'date_time',
  storage: 'timestamptz',
  family: 'date_time',
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
  parse: parseDateTime,
  parseEventValue: certain(parseDateTime),
};
