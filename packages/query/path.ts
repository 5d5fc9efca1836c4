import { NotCompiled } from './pass-through.ts';

/** Names in a path, of fields and types; longer ones lead through more links than anybody asks for. */
const SEGMENTS_MAX = 40;

/**
 * A dotted path (`link.Type.field`) in its parts. No more of a path is looked at than a read may have: one of five
 * megabytes takes seconds.
 * @throws NotCompiled
 */
export function segmentsOf(path: string): readonly string[] {
  const segments = path.split('.', SEGMENTS_MAX + 1);
  if (segments.length > SEGMENTS_MAX) throw new NotCompiled('too many links');
  return segments;
}
