import type { CachedField, CachedSchema } from '@understudy/schema/cached-schema';

/** The field at the end of a path that a read asks for; of paths that lead nowhere it may give any. */
export function fieldAt(schema: CachedSchema, type: string, path: string): CachedField | undefined {
  // Looked at for every read: most fields are the type's own.
  const dot = path.lastIndexOf('.');
  const owner = dot === -1 ? type : path.slice(path.lastIndexOf('.', dot - 1) + 1, dot);
  return schema.types.get(owner)?.fields.get(path.slice(dot + 1));
}
