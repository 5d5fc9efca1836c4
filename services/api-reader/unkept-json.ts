import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { UNKEPT } from '@understudy/domain/kept-text';
import { type PassThrough, passingThrough } from '@understudy/query/pass-through';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { fieldAt } from './field-at.ts';

const MARK = Buffer.from(UNKEPT);

/** Whether a read asks for JSON of the site's, of which not everything can be kept. */
export function asksForJson(schema: CachedSchema, type: string, fields: readonly unknown[]): boolean {
  return fields.some((path) => {
    const field = typeof path === 'string' ? fieldAt(schema, type, path) : undefined;
    return field !== undefined && DATA_TYPES[field.dataType].storage === 'jsonb';
  });
}

/** Why a reply that was made of what is kept is not the site's; null where it is. */
export function whyUnkept(body: Buffer): PassThrough | null {
  return body.includes(MARK) ? passingThrough('value in doubt', 'JSON that cannot be kept') : null;
}
