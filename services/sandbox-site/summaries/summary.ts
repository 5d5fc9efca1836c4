import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { Json } from '@understudy/domain/entity';
import type { SandboxField } from '../sandbox-schema.ts';

/** What a summary is made of: the values of its field in every row, and the value it asks about, if it does. */
export interface SummaryInput {
  readonly field: SandboxField;
  readonly values: readonly Json[];
  readonly asked: Json;
}

type Summarize = (input: SummaryInput) => Json;

const NUMBERS: ReadonlySet<string> = new Set([
  'number',
  'float',
  'currency',
  'percent',
  'duration',
  'timecode',
]);
const TIMES: ReadonlySet<string> = new Set(['date', 'date_time']);
const CHECKBOX: ReadonlySet<string> = new Set(['checkbox']);
const STATUS: ReadonlySet<string> = new Set(['status_list', 'list']);

const isSet = (value: Json): boolean => value !== null && !(Array.isArray(value) && value.length === 0);
const numbers = (input: SummaryInput): number[] => input.values.filter((value) => typeof value === 'number');
const texts = (input: SummaryInput): string[] =>
  input.values.filter((value) => typeof value === 'string').sort();
const sum = (input: SummaryInput): number => numbers(input).reduce((total, value) => total + value, 0);
const share = (input: SummaryInput, wanted: Json): number =>
  input.values.length === 0
    ? 0
    : (100 * input.values.filter((value) => value === wanted).length) / input.values.length;
const bound = (input: SummaryInput, choose: (...values: number[]) => number): Json => {
  const found = numbers(input);
  return found.length === 0 ? null : found.reduce((a, b) => choose(a, b));
};

/** Each type of summary: the data types it is for, or null for all, and how it is made (protocol §5.5). */
const SUMMARIES: Readonly<
  Record<string, { readonly of: ReadonlySet<string> | null; readonly make: Summarize }>
> = {
  record_count: { of: null, make: (input) => input.values.length },
  count: { of: null, make: (input) => input.values.filter(isSet).length },
  sum: { of: NUMBERS, make: sum },
  maximum: { of: NUMBERS, make: (input) => bound(input, Math.max) },
  minimum: { of: NUMBERS, make: (input) => bound(input, Math.min) },
  average: {
    of: NUMBERS,
    make: (input) => (numbers(input).length === 0 ? null : sum(input) / numbers(input).length),
  },
  earliest: { of: TIMES, make: (input) => texts(input)[0] ?? null },
  latest: { of: TIMES, make: (input) => texts(input).at(-1) ?? null },
  checked: { of: CHECKBOX, make: (input) => input.values.filter((value) => value === true).length },
  unchecked: { of: CHECKBOX, make: (input) => input.values.filter((value) => value === false).length },
  percentage: {
    of: new Set([...CHECKBOX, ...STATUS]),
    make: (input) => Math.round(share(input, input.field.dataType === 'checkbox' ? true : input.asked)),
  },
  status_percentage: { of: STATUS, make: (input) => Math.round(share(input, input.asked)) },
  status_percentage_as_float: { of: STATUS, make: (input) => share(input, input.asked) },
  status_list: {
    of: STATUS,
    make: ({ values }) => (new Set(values).size > 1 ? 'mixed' : (values[0] ?? null)),
  },
};

/** @returns how a field is summarized, or undefined where the type of summary is unknown or not for its data type. */
export function summaryOf(type: string, field: SandboxField): Summarize | undefined {
  const summary = Object.hasOwn(SUMMARIES, type) ? SUMMARIES[type] : undefined;
  if (summary === undefined) return undefined;
  if (DATA_TYPES[field.dataType].storage === 'none' && type !== 'record_count') return undefined;
  return summary.of === null || summary.of.has(field.dataType) ? summary.make : undefined;
}
