import { NotCompiled } from '../pass-through.ts';
import { anyOf, folded, type Parameters } from '../sql.ts';

/** A positive comparison of a column. */
export interface ScalarComparison {
  readonly column: string;
  readonly sqlType: string;
  readonly relation: string;
  readonly values: readonly unknown[];
  readonly parameters: Parameters;
}

const invalid = (detail: string): never => {
  throw new NotCompiled('invalid filter', detail);
};

/** Text of which a part may be found within an `&lt;`, or reach into one, by what the operator looks for. */
const WITHIN_ESCAPED: Readonly<Partial<Record<string, RegExp>>> = {
  contains: /^(l|t|lt)$|&(lt?)?$|^(l?t)?;/i,
  starts_with: /&(lt?)?$/i,
  ends_with: /^(l?t)?;/i,
};

/**
 * @returns text that a caller compares with.
 * @throws NotCompiled where it is none, or has what the site writes in two ways (protocol §1.5: `<` may come as `&lt;`).
 */
function textOf(value: unknown, relation: string): string {
  if (typeof value !== 'string') return invalid('text expected');
  if (/<|&lt;/i.test(value) || WITHIN_ESCAPED[relation]?.test(value) === true)
    throw new NotCompiled('value in doubt', '<');
  return value;
}

/** text: every operator ignores case; `%` and `_` are themselves; empty is null (protocol §4.3). */
export function textCondition({ column, relation, values, parameters }: ScalarComparison): string {
  const wanted = (): string => folded(parameters.add(textOf(values[0], relation), 'text'));
  switch (relation) {
    case 'is':
      return values[0] === null || values[0] === '' ? `${column} is null` : `${folded(column)} = ${wanted()}`;
    case 'in': {
      const texts = values.map((value) => textOf(value, relation));
      const some = texts.filter((text) => text !== '');
      const alternatives: string[] = [];
      if (some.length < texts.length) alternatives.push(`${column} is null`);
      if (some.length > 0) {
        const list = parameters.add(some, 'text[]');
        alternatives.push(`${folded(column)} = any(array(select ${folded('w')} from unnest(${list}) w))`);
      }
      return anyOf(alternatives);
    }
    case 'contains':
      return `position(${wanted()} in ${folded(column)}) > 0`;
    case 'starts_with':
      return `starts_with(${folded(column)}, ${wanted()})`;
    case 'ends_with': {
      const end = wanted();
      return `right(${folded(column)}, length(${end})) = ${end}`;
    }
    default:
      return invalid(relation);
  }
}

/** number and its kin: strict comparisons, `between` inclusive; 0 is not null. */
export function numberCondition({ column, sqlType, relation, values, parameters }: ScalarComparison): string {
  for (const value of values) {
    if (value === null) continue;
    if (typeof value !== 'number' || !Number.isFinite(value)) return invalid('number expected');
    // Whether the site refuses a fraction here, cuts it or compares it is not known (protocol §4.2).
    if (sqlType === 'bigint' && !Number.isSafeInteger(value))
      throw new NotCompiled('value in doubt', 'fraction');
  }
  const at = (value: unknown): string => parameters.add(value, sqlType);
  const [a, b] = values;
  switch (relation) {
    case 'is':
      return a === null ? `${column} is null` : `${column} = ${at(a)}`;
    case 'in':
      return anyOf(listAlternatives(column, values, sqlType, parameters));
    case 'less_than':
      return a === null ? 'false' : `${column} < ${at(a)}`;
    case 'greater_than':
      return a === null ? 'false' : `${column} > ${at(a)}`;
    case 'between':
      return a === null || b === null ? 'false' : `${column} between ${at(a)} and ${at(b)}`;
    default:
      return invalid(relation);
  }
}

/** What `in` means where null may stand among the values. */
export function listAlternatives(
  column: string,
  values: readonly unknown[],
  sqlType: string,
  parameters: Parameters,
): readonly string[] {
  const some = values.filter((value) => value !== null);
  const alternatives: string[] = [];
  if (some.length < values.length) alternatives.push(`${column} is null`);
  if (some.length > 0) alternatives.push(`${column} = any(${parameters.add(some, `${sqlType}[]`)})`);
  return alternatives;
}

/** list, status_list and their kin: exact, but for list, which ignores case. */
export function choiceCondition(comparison: ScalarComparison, ignoreCase: boolean): string {
  const { column, relation, values, parameters } = comparison;
  for (const value of values) {
    // Text takes empty for null; whether the choices do is not known.
    if (value === '') throw new NotCompiled('value in doubt', 'empty choice');
    if (value !== null) textOf(value, relation);
  }
  if (relation === 'is') {
    if (values[0] === null) return `${column} is null`;
    const wanted = parameters.add(values[0], 'text');
    return ignoreCase ? `${folded(column)} = ${folded(wanted)}` : `${column} = ${wanted}`;
  }
  if (relation !== 'in') return invalid(relation);
  if (!ignoreCase) return anyOf(listAlternatives(column, values, 'text', parameters));
  const hasNull = values.includes(null);
  const some = values.filter((value) => value !== null);
  const alternatives = hasNull ? [`${column} is null`] : [];
  if (some.length > 0) {
    const list = parameters.add(some, 'text[]');
    alternatives.push(`${folded(column)} = any(array(select ${folded('w')} from unnest(${list}) w))`);
  }
  return anyOf(alternatives);
}

/** checkbox: true or false, never null. */
export function checkboxCondition({ column, values, parameters }: ScalarComparison): string {
  if (typeof values[0] !== 'boolean') return invalid('true or false expected');
  return `${column} = ${parameters.add(values[0], 'boolean')}`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** uuid: `""` is unset, null is refused (protocol §4.3). */
export function uuidCondition({ column, values, parameters }: ScalarComparison): string {
  const wanted = values.map((value) => {
    if (value === '') return null;
    if (typeof value !== 'string' || !UUID.test(value)) return invalid('uuid expected');
    return value;
  });
  return anyOf(listAlternatives(column, wanted, 'uuid', parameters));
}
