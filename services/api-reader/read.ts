import type { Replica } from '@understudy/pipeline/replica';
import { type CompiledRead, compileRead, countParams, pageOf } from '@understudy/query/compile-read';
import { passingThrough } from '@understudy/query/pass-through';
import { boundAt } from '@understudy/query/sql';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { Answer, ApiCall } from './api-call.ts';
import { answerLocally, type LocalParts } from './local-answer.ts';
import { imageFields, withLinks } from './media-links.ts';
import { queryContext } from './replica-state.ts';

/** A read that takes PostgreSQL longer than this is the site's to answer. */
const QUERY_TIMEOUT_MS = 30_000;

/**
 * Answers a `read` (protocol §3).
 * @throws as answerLocally does.
 */
export function answerRead(parts: LocalParts, call: ApiCall): Promise<Answer> {
  return answerLocally(parts, call, (replica, state) => {
    const context = queryContext(state);
    const read = compileRead(call.envelope.payload, context);
    if ('passThrough' in read) return read;
    const images = imagesOf(call.envelope.payload, read.type, context.schema);
    if (images.fields.length === 0) return () => runRead(replica, read);
    // Clients of old sites get numbers instead of addresses (protocol §3.1).
    if (!images.asAddresses) return passingThrough('image numbers');
    const base = parts.publicUrl === '' ? call.origin : parts.publicUrl;
    if (base === null) return passingThrough('image addresses');
    return async () =>
      withLinks(await runRead(replica, read), images.fields, (ref, name) =>
        parts.mediaLinks.linkTo(ref, name, base),
      );
  });
}

function imagesOf(
  payload: unknown,
  type: string,
  schema: CachedSchema,
): { readonly fields: readonly string[]; readonly asAddresses: boolean } {
  const read = payload as {
    readonly return_fields?: readonly unknown[];
    readonly api_return_image_urls?: unknown;
  };
  const fields = imageFields(schema, type, read.return_fields ?? []);
  return { fields, asAddresses: read.api_return_image_urls === true };
}

/** @returns the JSON of the reply: `{"results": {"entities": […], "paging_info": {…}}}` (protocol §3.2). */
async function runRead(replica: Replica, read: CompiledRead): Promise<string> {
  const { pool } = replica.db;
  const now = new Date();
  const { rows } = await pool.query<{ entity: string }>({
    name: read.name,
    text: read.sql,
    values: boundAt(read.params, now),
    query_timeout: QUERY_TIMEOUT_MS,
  } as never);
  const { entities, hasNextPage } = pageOf(
    read,
    rows.map((row) => row.entity),
  );
  const { pageSize, page } = read;
  let paging = `"current_page":${page},"entities_per_page":${pageSize},"has_next_page":${hasNextPage}`;
  if (read.countSql !== null) {
    const { rows: counts } = await pool.query<{ entity_count: string }>({
      text: read.countSql,
      values: boundAt(countParams(read), now),
      query_timeout: QUERY_TIMEOUT_MS,
    } as never);
    const count = Number(counts[0]?.entity_count);
    paging = `"current_page":${count === 0 ? 0 : page},"page_count":${Math.ceil(count / pageSize)},"entity_count":${count},"entities_per_page":${pageSize}`;
  }
  return `{"results":{"entities":${entities},"paging_info":{${paging}}}}`;
}
