import type { CachedSchema } from '@understudy/schema/cached-schema';
import { type RowSql, rowJson } from './row-json.ts';
import { type QueryContext, Scope } from './scope.ts';

/** The part of a statement that makes the JSON of a row, and the alias under which it expects the row. */
export interface AliasedRowSql extends RowSql {
  readonly alias: string;
  /** No two have the same: short, where the SQL is long. */
  readonly key: number;
}

/** Combinations of fields that are remembered of one schema; more than all tools of a studio ask for. */
const KNOWN_MAX = 2_000;
/** Aliases of it begin here, so that they differ from those of any filter. */
const FIRST_ALIAS = 1_000;

let lastKey = 0;
const known = new WeakMap<CachedSchema, WeakMap<ReadonlySet<string>, Map<string, AliasedRowSql>>>();

/**
 * The JSON of a row of a type with some fields, remembered: tools ask for the same fields again and again, and making
 * it takes three quarters of the time that compiling a read does (20 µs of 27). It holds no value of anybody's, so it
 * depends on nothing but what is its key here.
 * @throws NotCompiled
 */
export function cachedRowJson(
  context: QueryContext,
  type: string,
  fields: readonly string[],
  forMany: boolean,
): AliasedRowSql {
  const { schema, servedTypes } = context;
  const ofSchema = known.get(schema) ?? new WeakMap<ReadonlySet<string>, Map<string, AliasedRowSql>>();
  known.set(schema, ofSchema);
  const ofTypes = ofSchema.get(servedTypes) ?? new Map<string, AliasedRowSql>();
  ofSchema.set(servedTypes, ofTypes);
  const key = JSON.stringify([type, forMany, fields]);
  const remembered = ofTypes.get(key);
  if (remembered !== undefined) return remembered;
  const scope = new Scope(context, type, undefined, { nextAlias: FIRST_ALIAS, subqueries: 0 });
  lastKey += 1;
  const made = { ...rowJson(scope, fields, forMany), alias: scope.root.alias, key: lastKey };
  if (scope.parameters.values.length > 0) throw new Error('the JSON of a row holds a value');
  const oldest = ofTypes.keys().next();
  if (ofTypes.size >= KNOWN_MAX && oldest.done !== true) ofTypes.delete(oldest.value);
  ofTypes.set(key, made);
  return made;
}
