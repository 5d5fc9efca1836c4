import { NotCompiled } from './pass-through.ts';
import type { Located, Scope, Source } from './scope.ts';
import { literal } from './sql.ts';

/** JSON text of a link to something alive, as the site writes it (protocol §3.4). */
const LINK_JSON = `'{"type":' || to_json(lt.entity_type)::text || ',"id":' || lt.entity_id || ',"name":'
  || coalesce(to_json(lt.name)::text, 'null') || '}'`;

/** SQL for a field's JSON text (protocol §3.5). */
export function fieldJson(source: Source, located: Located): string {
  const { alias } = source;
  switch (located.kind) {
    case 'column':
      return columnJson(`${alias}.${located.column}`, located.sqlType);
    case 'link':
      return `coalesce((select ${LINK_JSON} from understudy.link_target lt where lt.entity_type = ${alias}.${located.typeColumn}
        and lt.entity_id = ${alias}.${located.idColumn} and lt.active), 'null')`;
    case 'links':
      return `coalesce((select '[' || string_agg(${LINK_JSON}, ',' order by l.target_id, l.target_type collate "C") || ']'
        from ${located.table} l join understudy.link_target lt on lt.entity_type = l.target_type and lt.entity_id = l.target_id
        where l.entity_id = ${alias}.id and not l._removed and lt.active), '[]')`;
    case 'none':
      throw new NotCompiled('field not kept', `${source.type.name}.${located.field.name}`);
  }
}

function columnJson(column: string, sqlType: string): string {
  switch (sqlType) {
    case 'boolean':
      return `case when ${column} then 'true' else 'false' end`;
    case 'date':
      return `coalesce('"' || to_char(${column}, 'YYYY-MM-DD') || '"', 'null')`;
    case 'timestamptz':
      return `coalesce('"' || to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || '"', 'null')`;
    case 'uuid':
      return `coalesce('"' || ${column}::text || '"', 'null')`;
    case 'bigint':
    case 'numeric':
    case 'jsonb':
      return `coalesce(${column}::text, 'null')`;
    default:
      return `coalesce(to_json(${column})::text, 'null')`;
  }
}

/**
 * SQL for one row's JSON text: type, id and the fields asked for, those that the site lacks left out (protocol §3.4).
 * @throws NotCompiled for fields that the replica does not keep.
 */
export function rowJson(scope: Scope, fields: readonly string[]): string {
  const { root } = scope;
  const parts = [`'{"type":${JSON.stringify(root.type.name)},"id":' || ${root.alias}.id`];
  for (const path of new Set(fields)) {
    if (path === 'id' || path === 'type') continue;
    const value = valueAt(scope, root, path.split('.'));
    if (value !== null) parts.push(`${literal(`,${JSON.stringify(path)}:`)} || ${value}`);
  }
  return `${parts.join(' || ')} || '}'`;
}

/** SQL of the value at a path, or null where the site leaves the key out. */
function valueAt(scope: Scope, source: Source, segments: readonly string[]): string | null {
  const [name = '', type, ...rest] = segments;
  const located = scope.field(source, name);
  if (located.field.absent) return null;
  if (type === undefined) {
    const value = fieldJson(source, located);
    // Below a link that is null everything is null, lists and checkboxes too.
    return source === scope.root
      ? value
      : `case when ${source.alias}.id is null then 'null' else ${value} end`;
  }
  if (located.kind === 'none') throw new NotCompiled('field not kept', segments.join('.'));
  if (located.kind !== 'link' || rest.length === 0) return null;
  const { validTypes } = located.field;
  if (validTypes.length > 0 && !validTypes.includes(type)) {
    // A type that exists nowhere, or one that the field does not allow: either way the key is left out.
    return null;
  }
  return valueAt(scope, scope.follow(source, name, type), rest);
}
