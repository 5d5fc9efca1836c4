import type { Json } from '@understudy/domain/entity';
import { badRequest } from '../site-fault.ts';

const PREFERENCES: Readonly<Record<string, Json>> = {
  creative_review_settings: {},
  date_component_order: 'month_day',
  duration_units: 'days',
  enable_rv_integration: true,
  enable_shotgun_review_for_rv: false,
  format_currency_fields_decimal_options: '$1,000.99',
  format_currency_fields_display_dollar_sign: false,
  format_currency_fields_negative_options: '- $1,000',
  format_date_fields: '08/04/22 OR 04/08/22 (depending on the Month order preference)',
  format_float_fields: '9,999.99',
  format_float_fields_rounding: '9.999999',
  format_footage_fields: '10-05',
  format_number_fields: '1,000',
  format_time_hour_fields: '12 hour',
  hours_per_day: 8,
  support_local_storage: true,
  view_master_settings: { status_groups: [] },
};

/** `preferences_read`: all, or those that are asked for and known (protocol §5.9). */
export function preferencesRead(payload: unknown): Json {
  const asked = (payload as { prefs?: unknown } | null | undefined)?.prefs ?? [];
  if (!Array.isArray(asked)) throw badRequest("API preferences_read() invalid array 'prefs'");
  if (asked.length === 0) return PREFERENCES;
  return Object.fromEntries(Object.entries(PREFERENCES).filter(([name]) => asked.includes(name)));
}
