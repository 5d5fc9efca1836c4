import type { CachedField, CachedSchema, CachedType } from '@understudy/schema/cached-schema';
import type { ColumnFrequencies } from '@understudy/store/column-frequencies';
import { type EntityTable, entityTable, type FieldStorage } from '@understudy/store/entity-tables';
import { NotCompiled } from './pass-through.ts';
import { literal, Parameters } from './sql.ts';

/** What compiling knows about. */
export interface QueryContext {
  readonly schema: CachedSchema;
  /** Types that may be served. */
  readonly servedTypes: ReadonlySet<string>;
  /** Left out where statements need not be fast. */
  readonly frequencies?: ColumnFrequencies;
}

/** A table in the statement, under an alias. A left-joined one may be null. */
export interface Source {
  readonly alias: string;
  readonly type: CachedType;
  readonly table: EntityTable;
}

export type Located = FieldStorage & { readonly field: CachedField };

/** Every type has an id, which is no field of the schema. */
const ID: Located = {
  kind: 'column',
  column: 'id',
  sqlType: 'bigint',
  field: { name: 'id', dataType: 'number', validTypes: [], absent: false },
};

/** Tables that one statement or subquery joins; more are more than PostgreSQL plans well. */
const HOPS_MAX = 24;
/**
 * Subqueries through lists of links, one in another and in a whole statement: each multiplies what there is to look at,
 * and planning 40 takes seconds. Whoever asks for more asks the site.
 */
const NESTED_MAX = 3;
const SUBQUERIES_MAX = 20;

const knownTypes = new WeakMap<CachedSchema, ReadonlySet<string>>();

/** The entity types that a schema names: those it keeps, and those that its links may lead to. */
function typesOf(schema: CachedSchema): ReadonlySet<string> {
  const known = knownTypes.get(schema);
  if (known !== undefined) return known;
  const types = new Set(schema.types.keys());
  for (const type of schema.types.values())
    for (const field of type.fields.values()) for (const name of field.validTypes) types.add(name);
  knownTypes.set(schema, types);
  return types;
}

/** The tables of one statement (or of one subquery): the root and what its paths join. */
export class Scope {
  readonly context: QueryContext;
  readonly parameters: Parameters;
  readonly root: Source;
  readonly #joins = new Map<string, { readonly source: Source; readonly sql: string }>();
  /** What all scopes of a statement have together. */
  readonly #shared: { nextAlias: number; subqueries: number };
  #nested = 0;
  #furtherCount = 0;

  constructor(
    context: QueryContext,
    rootType: string,
    parameters = new Parameters(),
    shared = { nextAlias: 0, subqueries: 0 },
  ) {
    this.context = context;
    this.parameters = parameters;
    this.#shared = shared;
    this.root = this.#source(rootType);
  }

  /** A scope for a subquery over another type; parameters are shared. @throws NotCompiled for too many of them. */
  inner(type: string): Scope {
    this.#shared.subqueries += 1;
    const scope = new Scope(this.context, type, this.parameters, this.#shared);
    scope.#nested = this.#nested + 1;
    if (scope.#nested > NESTED_MAX || this.#shared.subqueries > SUBQUERIES_MAX)
      throw new NotCompiled('too many links');
    return scope;
  }

  /** Whether the site surely has an entity type of that name. */
  knowsType(name: string): boolean {
    return typesOf(this.context.schema).has(name);
  }

  /** A fresh alias. */
  alias(): string {
    this.#shared.nextAlias += 1;
    return `t${this.#shared.nextAlias}`;
  }

  /** The joins that the paths asked for, in order. */
  get joins(): string {
    return [...this.#joins.values()].map((join) => join.sql).join(' ');
  }

  /** A field of a source. @throws NotCompiled when the replica does not keep it: it may exist on the site. */
  field(source: Source, name: string): Located {
    if (name === 'id') return ID;
    const located = source.table.fields.get(name);
    if (located === undefined) throw new NotCompiled('field not kept', `${source.type.name}.${name}`);
    return located;
  }

  /** The table of a type; null where it is not kept, or may not be served. */
  tableOf(name: string): EntityTable | null {
    const type = this.context.schema.types.get(name);
    return type === undefined || !this.context.servedTypes.has(name) ? null : entityTable(type);
  }

  /** Follows an entity link to a type: a left join, null where the link is null, to another type or to a retired row. */
  follow(source: Source, name: string, type: string): Source {
    const key = `${source.alias}.${name}.${type}`;
    const known = this.#joins.get(key);
    if (known !== undefined) return known.source;
    if (this.#joins.size >= HOPS_MAX) throw new NotCompiled('too many links');
    const located = this.field(source, name);
    if (located.kind !== 'link') throw new NotCompiled('field not kept', key);
    const target = this.#source(type);
    const { alias } = target;
    const sql = `left join ${target.table.sqlName} ${alias} on ${alias}.id = ${source.alias}.${located.idColumn}
      and ${source.alias}.${located.typeColumn} = ${literal(type)} and ${alias}._active`;
    this.#joins.set(key, { source: target, sql });
    return target;
  }

  /** A table for a subquery that looks a linked row up; the condition is the caller's. */
  further(type: string): Source {
    this.#furtherCount += 1;
    if (this.#furtherCount > HOPS_MAX) throw new NotCompiled('too many links');
    return this.#source(type);
  }

  #source(name: string): Source {
    const type = this.context.schema.types.get(name);
    if (type === undefined) throw new NotCompiled('type not kept', name);
    if (!this.context.servedTypes.has(name)) throw new NotCompiled('type not ready', name);
    return { alias: this.alias(), type, table: entityTable(type) };
  }
}
