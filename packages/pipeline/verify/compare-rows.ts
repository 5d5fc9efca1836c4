import { isDeepStrictEqual } from 'node:util';
import { type EntityRow, isEntityRef, type Json } from '@understudy/domain/entity';
import { keptJson } from '@understudy/domain/kept-text';
import { withoutSignature } from '@understudy/domain/signed-address';

/** A field that the site and the replica answer differently; undefined: the key is not there. */
export interface FieldDifference {
  readonly site: Json | undefined;
  readonly replica: Json | undefined;
}

const keyOf = (value: Json): string => (isEntityRef(value) ? `${value.type} ${value.id}` : '');

const ADDRESS = /^https?:/;

/**
 * A value as both sides can be compared: the site may add keys to a link (protocol §3.4), promises no order of a list of
 * links, and signs the address of a picture anew each time (§3.5); the replica marks what it cannot keep of JSON.
 */
function comparable(value: Json | undefined): Json | undefined {
  if (isEntityRef(value)) {
    const { type, id, name } = value as unknown as { type: string; id: number; name?: Json };
    return { type, id, name: name ?? null };
  }
  if (Array.isArray(value) && value.length > 0 && value.every(isEntityRef)) {
    const links = value.map((link) => comparable(link as unknown as Json) as Json);
    return links.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
  if (typeof value === 'string' && ADDRESS.test(value)) return withoutSignature(value);
  return value === undefined ? undefined : keptJson(value);
}

/** The fields in which one entity differs, by name; empty where the answers are the same. */
export function compareRows(
  fields: readonly string[],
  site: EntityRow,
  replica: EntityRow,
): Readonly<Record<string, FieldDifference>> {
  const differences: Record<string, FieldDifference> = {};
  for (const field of fields) {
    const [theirs, ours] = [comparable(site[field]), comparable(replica[field])];
    if (!isDeepStrictEqual(theirs, ours)) differences[field] = { site: theirs, replica: ours };
  }
  return differences;
}
