import { hash } from 'node:crypto';
import { type CompiledRead, compileRead, countParams, pageOf } from '@understudy/query/compile-read';
import { passingThrough } from '@understudy/query/pass-through';
import { boundAt } from '@understudy/query/sql';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { marksOf } from '@understudy/store/change-marks';
import type { ReadConnections } from '@understudy/store/read-connections';
import type { Answer, ApiCall } from './api-call.ts';
import type { Made } from './kept-answers.ts';
import { answerLocally, type LocalParts } from './local-answer.ts';
import { imageFields, withLinks } from './media-links.ts';
import { queryContext } from './replica-state.ts';

/**
 * Answers a `read` (protocol §3).
 * @throws as answerLocally does.
 */
export function answerRead(parts: LocalParts, call: ApiCall): Promise<Answer> {
  return answerLocally(parts, call, (_replica, state) => {
    const context = queryContext(state);
    const { payload } = call.envelope;
    const answers = parts.answersOf(context.schema);
    const question = answers.isOn ? questionOf(payload) : '';
    const made = async (read: CompiledRead): Promise<Made> => ({
      text: (await runRead(parts.statements, read)).text,
      marks: () => (read.dependsOnNow ? null : marksOf(`${read.sql} ${read.countSql ?? ''}`)),
    });
    const read = compileRead(payload, context);
    if ('passThrough' in read) return read;
    const images = imagesOf(payload, read.type, context.schema);
    if (images.fields.length === 0) {
      const make = (): Promise<Made> => made(read);
      if (answers.has(question)) parts.hotReads.learn(call, { question, schema: context.schema, make });
      return () => answers.answer(question, make);
    }
    // Clients of old sites get numbers instead of addresses (protocol §3.1).
    if (!images.asAddresses) return passingThrough('image numbers');
    const base = parts.publicUrl === '' ? call.origin : parts.publicUrl;
    if (base === null) return passingThrough('image addresses');
    return async () =>
      withLinks((await runRead(parts.statements, read)).text, images.fields, (ref, name) =>
        parts.mediaLinks.linkTo(ref, name, base),
      );
  });
}

/** A read as a key: short, since those that were asked once are remembered as well, and some name thousands of ids. */
const questionOf = (payload: unknown): string => hash('sha256', JSON.stringify(payload ?? null), 'base64');

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

/** A reply to `read`. */
export interface ReadReply {
  /** `{"results": {"entities": […], "paging_info": {…}}}` (protocol §3.2) */
  readonly text: string;
  readonly hasNextPage: boolean;
}

/** Runs a compiled read, as of now. */
export async function runRead(statements: ReadConnections, read: CompiledRead): Promise<ReadReply> {
  const now = new Date();
  const texts = await statements.texts({ name: read.name, text: read.sql }, boundAt(read.params, now));
  const { entities, hasNextPage } = pageOf(read, texts);
  const { pageSize, page } = read;
  let paging = `"current_page":${page},"entities_per_page":${pageSize},"has_next_page":${hasNextPage}`;
  if (read.countSql !== null) {
    const counting = { name: read.name === '' ? '' : `count_${read.name}`, text: read.countSql };
    const count = Number((await statements.texts(counting, boundAt(countParams(read), now)))[0]);
    paging = `"current_page":${count === 0 ? 0 : page},"page_count":${Math.ceil(count / pageSize)},"entity_count":${count},"entities_per_page":${pageSize}`;
  }
  return { text: `{"results":{"entities":${entities},"paging_info":{${paging}}}}`, hasNextPage };
}
