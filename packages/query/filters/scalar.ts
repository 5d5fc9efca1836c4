import { NotCompiled } from '../pass-through.ts';
import type { Parameters } from '../sql.ts';

/** A positive comparison of a column. */
export interface ScalarComparison {
  readonly column: string;
  readonly sqlType: string;
  readonly relation: string;
  readonly values: readonly unknown[];
  readonly parameters: Parameters;
  readonly now: Date;
}

const invalid = (detail: string): never => {
  throw new NotCompiled('invalid filter', detail);
};

/** text: every operator ignores case; `%` and `_` are themselves; empty is null (protocol §4.3). */
export function textCondition({ column, relation, values, parameters }: ScalarComparison): string {
  const lower = (value: unknown): string => {
    if (typeof value !== 'string') return invalid('text expected');
    return `lower(${parameters.add(value, 'text')})`;
  };
  const isOne = (value: unknown): string =>
    value === null || value === '' ? `${column} is null` : `lower(${column}) = ${lower(value)}`;
  switch (relation) {
    case 'is':
      return isOne(values[0]);
    case 'in': {
      if (values.some((value) => typeof value !== 'string')) return invalid('text expected');
      return values.map(isOne).join(' or ');
    }
    case 'contains':
      return `position(${lower(values[0])} in lower(${column})) > 0`;
    case 'starts_with':
      return `starts_with(lower(${column}), ${lower(values[0])})`;
    case 'ends_with': {
      const end = lower(values[0]);
      return `right(lower(${column}), length(${end})) = ${end}`;
    }
    default:
      return invalid(relation);
  }
}

/** number and its kin: strict comparisons, `between` inclusive; 0 is not null. */
export function numberCondition({ column, sqlType, relation, values, parameters }: ScalarComparison): string {
  const number = (value: unknown): string => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return invalid('number expected');
    if (sqlType === 'double precision') return parameters.add(value, 'double precision');
    return parameters.add(value, Number.isSafeInteger(value) ? 'bigint' : 'numeric');
  };
  const [a, b] = values;
  if (values.some((value) => value !== null && typeof value !== 'number')) return invalid('number expected');
  switch (relation) {
    case 'is':
      return a === null ? `${column} is null` : `${column} = ${number(a)}`;
    case 'in': {
      const numbers = values.filter((value) => value !== null);
      const integers = sqlType === 'bigint' && numbers.every((value) => Number.isSafeInteger(value));
      const cast = integers
        ? 'bigint[]'
        : sqlType === 'double precision'
          ? 'double precision[]'
          : 'numeric[]';
      const some = `${column} = any(${parameters.add(numbers, cast)})`;
      return values.includes(null) ? `${column} is null or ${some}` : some;
    }
    case 'less_than':
      return a === null ? 'false' : `${column} < ${number(a)}`;
    case 'greater_than':
      return a === null ? 'false' : `${column} > ${number(a)}`;
    case 'between':
      return a === null || b === null ? 'false' : `${column} between ${number(a)} and ${number(b)}`;
    default:
      return invalid(relation);
  }
}

/** list, status_list and their kin: exact, but for list, which ignores case. */
export function choiceCondition(comparison: ScalarComparison, ignoreCase: boolean): string {
  const { column, values, parameters } = comparison;
  const one = (value: unknown): string => {
    if (value === null || value === '') return `${column} is null`;
    if (typeof value !== 'string') return invalid('text expected');
    const parameter = parameters.add(value, 'text');
    return ignoreCase ? `lower(${column}) = lower(${parameter})` : `${column} = ${parameter}`;
  };
  return values.map(one).join(' or ');
}

/** checkbox: true or false, never null. */
export function checkboxCondition({ column, values, parameters }: ScalarComparison): string {
  if (typeof values[0] !== 'boolean') return invalid('true or false expected');
  return `${column} = ${parameters.add(values[0], 'boolean')}`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** uuid: `""` is unset. */
export function uuidCondition({ column, values, parameters }: ScalarComparison): string {
  const one = (value: unknown): string => {
    if (value === '') return `${column} is null`;
    if (typeof value !== 'string' || !UUID.test(value)) return invalid('uuid expected');
    return `${column} = ${parameters.add(value, 'uuid')}`;
  };
  return values.map(one).join(' or ');
}
