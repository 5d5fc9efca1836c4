import type { DataTypeName } from '@understudy/domain/data-types/data-type';

const FIELD_NAME = /^[a-z_][a-z0-9_]*$/i;

/** Whether a field of this name can be kept: it names a column, and stands in schema files. */
export function isFieldName(name: string): boolean {
  return FIELD_NAME.test(name);
}

/** One cached field of an entity type. */
export interface CachedField {
  readonly name: string;
  readonly dataType: DataTypeName;
  /** For links: the entity types the site allows, empty when it does not say. */
  readonly validTypes: readonly string[];
  /** Known not to exist on the site: a read that asks for it is answered without it (protocol §3.4). */
  readonly absent: boolean;
  /** Name that its values are kept under, where that is not its own: another data type had the name before. */
  readonly column?: string;
}

/** One cached entity type; `id` and `type` are implied and not listed among the fields. */
export interface CachedType {
  readonly name: string;
  readonly fields: ReadonlyMap<string, CachedField>;
}

/** The cached part of a site's schema, as the YAML file declares it. */
export interface CachedSchema {
  readonly types: ReadonlyMap<string, CachedType>;
  /** The field that display names of a type mirror where it is not the usual one; also of types that are only linked. */
  readonly identifiers?: ReadonlyMap<string, string>;
}
