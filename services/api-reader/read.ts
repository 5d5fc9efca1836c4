import { type CompiledRead, compileRead, countParams } from '@understudy/query/compile-read';
import { passingThrough } from '@understudy/query/pass-through';
import { boundAt } from '@understudy/query/sql';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { marksOf } from '@understudy/store/change-marks';
import type { ReadConnections } from '@understudy/store/reads/read-connections';
import { type Answer, type ApiCall, OwnBytes, type SharedBytes } from './api-call.ts';
import type { Made } from './kept-answers.ts';
import { answerLocally, type LocalParts } from './local-answer.ts';
import { imageFields, withLinks } from './media-links.ts';
import { queryContext } from './replica-state.ts';
import { asksForJson, whyUnkept } from './unkept-json.ts';

/**
 * Answers a `read` (protocol §3).
 * @throws as answerLocally does.
 */
export function answerRead(parts: LocalParts, call: ApiCall): Promise<Answer> {
  return answerLocally(parts, call, (_replica, state) => {
    const context = queryContext(state);
    const { payload } = call.envelope;
    const read = compileRead(payload, context);
    if ('passThrough' in read) return read;
    const images = imagesOf(payload, read.type, context.schema);
    if (images.fields.length === 0) {
      if (asksForJson(context.schema, read.type, fieldsOf(payload)))
        return async () => {
          const { body } = await runRead(parts.statements, read);
          return whyUnkept(body) ?? new OwnBytes(body);
        };
      const question = (): string => parts.knownReads.questionOf(payload);
      return () => answerCompiled(parts, context.schema, () => read, question);
    }
    // Clients of old sites get numbers instead of addresses (protocol §3.1).
    if (!images.asAddresses) return passingThrough('image numbers');
    const base = parts.publicUrl === '' ? call.origin : parts.publicUrl;
    if (base === null) return passingThrough('image addresses');
    return async () => {
      const { body } = await runRead(parts.statements, read);
      const linked = (): string =>
        withLinks(body.toString(), images.fields, (ref, name) => parts.mediaLinks.linkTo(ref, name, base));
      return whyUnkept(body) ?? linked();
    };
  });
}

/** @returns the answer of the moment to a read without pictures and JSON: kept, where it is asked again and again, or made now. */
export function answerCompiled(
  parts: Pick<LocalParts, 'answersOf' | 'statements'>,
  schema: CachedSchema,
  compiled: () => CompiledRead,
  question: () => string,
): Promise<SharedBytes | OwnBytes> {
  const answers = parts.answersOf(schema);
  return answers.answer(answers.isOn ? question() : '', async (): Promise<Made> => {
    const read = compiled();
    const { body } = await runRead(parts.statements, read);
    return {
      body,
      marks: () => (read.dependsOnNow ? null : marksOf(`${read.sql} ${read.countSql ?? ''}`)),
    };
  });
}

/** Whether an answer is looked at each time: one with pictures, whose addresses are made for each who asks, or with JSON. */
export function isLookedAt(payload: unknown, type: string, schema: CachedSchema): boolean {
  return imagesOf(payload, type, schema).fields.length > 0 || asksForJson(schema, type, fieldsOf(payload));
}

function fieldsOf(payload: unknown): readonly unknown[] {
  return (payload as { readonly return_fields?: readonly unknown[] }).return_fields ?? [];
}

function imagesOf(
  payload: unknown,
  type: string,
  schema: CachedSchema,
): { readonly fields: readonly string[]; readonly asAddresses: boolean } {
  const read = payload as { readonly api_return_image_urls?: unknown };
  const fields = imageFields(schema, type, fieldsOf(payload));
  return { fields, asAddresses: read.api_return_image_urls === true };
}

/** A reply to `read`. */
export interface ReadReply {
  /** `{"results": {"entities": […], "paging_info": {…}}}` (protocol §3.2) in UTF-8; nobody else's. */
  readonly body: Buffer;
  readonly hasNextPage: boolean;
}

/** Runs a compiled read, as of now. */
export async function runRead(statements: ReadConnections, read: CompiledRead): Promise<ReadReply> {
  const now = new Date();
  const { pageSize, page } = read;
  const paging = read.countSql === null ? null : await pagingOf(statements, read, read.countSql, now);
  return statements.rows({ name: read.name, text: read.sql }, boundAt(read.params, now), (rows) => {
    const hasNextPage = rows.count > pageSize;
    const after = `],"paging_info":{${paging ?? `"current_page":${page},"entities_per_page":${pageSize},"has_next_page":${hasNextPage}`}}}}`;
    return { body: rows.between('{"results":{"entities":[', after, pageSize), hasNextPage };
  });
}

/** What a caller is told who asked for counts. */
async function pagingOf(
  statements: ReadConnections,
  read: CompiledRead,
  countSql: string,
  now: Date,
): Promise<string> {
  const { pageSize, page } = read;
  const counting = { name: read.name === '' ? '' : `count_${read.name}`, text: countSql };
  const count = Number((await statements.texts(counting, boundAt(countParams(read), now)))[0]);
  return `"current_page":${count === 0 ? 0 : page},"page_count":${Math.ceil(count / pageSize)},"entity_count":${count},"entities_per_page":${pageSize}`;
}
