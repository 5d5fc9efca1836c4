import type { CachedField, CachedSchema } from './cached-schema.ts';
import { identifierField } from './display-name.ts';

/** One difference between two cached schemas. */
export interface SchemaChange {
  readonly kind:
    | 'type-added'
    | 'type-dropped'
    | 'field-added'
    | 'field-dropped'
    | 'data-type'
    | 'allowed-types'
    | 'identifier';
  readonly type: string;
  readonly field?: string;
  /** For people: `text → list`. */
  readonly detail: string;
}

const sorted = (names: readonly string[]): string => [...names].sort().join(', ');
const dataTypeOf = (field: CachedField): string => (field.absent ? 'absent' : field.dataType);

/** What a cached schema changes of another one, by type and field. */
export function schemaChanges(before: CachedSchema, after: CachedSchema): readonly SchemaChange[] {
  const changes: SchemaChange[] = [];
  const names = new Set([...before.types.keys(), ...after.types.keys()]);
  for (const type of [...names].sort()) {
    const [old, young] = [before.types.get(type), after.types.get(type)];
    if (old === undefined || young === undefined) {
      const count = (old ?? young)?.fields.size ?? 0;
      changes.push({
        kind: old === undefined ? 'type-added' : 'type-dropped',
        type,
        detail: `${count} fields`,
      });
      continue;
    }
    const fields = new Set([...old.fields.keys(), ...young.fields.keys()]);
    for (const field of [...fields].sort())
      changes.push(...fieldChange(type, field, old.fields.get(field), young.fields.get(field)));
  }
  const named = new Set([...(before.identifiers?.keys() ?? []), ...(after.identifiers?.keys() ?? [])]);
  for (const type of [...named].sort()) {
    const [had, has] = [identifierField(type, before), identifierField(type, after)];
    if (had !== has) changes.push({ kind: 'identifier', type, detail: `${had} → ${has}` });
  }
  return changes;
}

function fieldChange(
  type: string,
  field: string,
  old: CachedField | undefined,
  young: CachedField | undefined,
): readonly SchemaChange[] {
  if (old === undefined)
    return young === undefined ? [] : [{ kind: 'field-added', type, field, detail: dataTypeOf(young) }];
  if (young === undefined) return [{ kind: 'field-dropped', type, field, detail: dataTypeOf(old) }];
  if (dataTypeOf(old) !== dataTypeOf(young))
    return [{ kind: 'data-type', type, field, detail: `${dataTypeOf(old)} → ${dataTypeOf(young)}` }];
  const [had, has] = [sorted(old.validTypes), sorted(young.validTypes)];
  return had === has
    ? []
    : [{ kind: 'allowed-types', type, field, detail: `${had || 'any'} → ${has || 'any'}` }];
}
