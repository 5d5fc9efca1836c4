import { type EntityRef, isEntityRef, refKey } from '@understudy/domain/entity';
import type { StoredEntity } from './entity-table.ts';
import type { SandboxField, SandboxSchema, SandboxType } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';

/** What makes a type a connection type: each of its rows stands for one link of a list, and may say more of it. */
export interface Connection {
  /** The list. */
  readonly type: string;
  readonly field: string;
  /** The row's link to the entity that has the list, and its link to what is in it. */
  readonly from: string;
  readonly to: string;
}

/** A link of a list, as a row of a connection type names it. */
export interface ConnectedLink {
  readonly owner: StoredEntity;
  readonly field: SandboxField;
  readonly target: EntityRef;
}

/** The type whose rows stand for the links of a list; null for most lists, whose rows nobody can read. */
export function connectionType(
  schema: SandboxSchema,
  type: string,
  field: string,
): (SandboxType & { readonly connection: Connection }) | null {
  for (const candidate of schema.values()) {
    const { connection } = candidate;
    if (connection !== null && connection.type === type && connection.field === field)
      return { ...candidate, connection };
  }
  return null;
}

/** The rows of a connection type that stand for the link between two entities and are alive. */
export function rowsOfLink(
  data: SiteData,
  type: SandboxType & { readonly connection: Connection },
  from: EntityRef,
  to: EntityRef,
): readonly StoredEntity[] {
  return data.linkedFrom(from, type.name, type.connection.from).flatMap((id) => {
    const row = data.stored({ type: type.name, id });
    const target = row?.stored(type.connection.to);
    const isIt = row?.retired === false && isEntityRef(target) && refKey(target) === refKey(to);
    return isIt ? [row] : [];
  });
}

/** The link that a row stands for; null for rows of other types, and while an end is missing. */
export function linkOfRow(data: SiteData, row: StoredEntity): ConnectedLink | null {
  const connection = data.schema.get(row.type)?.connection ?? null;
  if (connection === null) return null;
  const [from, target] = [row.stored(connection.from), row.stored(connection.to)];
  if (!isEntityRef(from) || !isEntityRef(target) || from.type !== connection.type) return null;
  const owner = data.stored(from);
  const field = data.field(connection.type, connection.field);
  return owner === undefined || field === undefined
    ? null
    : { owner, field, target: { type: target.type, id: target.id } };
}
