import { compileRead } from '@understudy/query/compile-read';
import { eventReach } from '@understudy/query/event-reach';
import { passingThrough } from '@understudy/query/pass-through';
import type { QueryContext } from '@understudy/query/scope';
import type { CachedSchema, CachedType } from '@understudy/schema/cached-schema';
import { heldFrom } from '@understudy/store/event-log';
import { hasUnseenWrittenEvents } from '@understudy/store/written-events';
import { type Answer, type ApiCall, OwnBytes } from './api-call.ts';
import { payloadType } from './envelope.ts';
import { answerLocally, type LocalParts } from './local-answer.ts';
import { runRead } from './read.ts';
import { queryContext, type ReplicaState } from './replica-state.ts';
import { whyUnkept } from './unkept-json.ts';

const EVENT_LOG_ENTRY = 'EventLogEntry';

export const isEventRead = (call: ApiCall): boolean => payloadType(call.envelope.payload) === EVENT_LOG_ENTRY;

const contexts = new WeakMap<
  CachedSchema,
  { readonly eventLog: CachedType; readonly context: QueryContext }
>();

/** What compilers of reads of the event log need to know; the same object for the same, since what is compiled is kept by it. */
export function eventContext(state: ReplicaState, eventLog: CachedType): QueryContext {
  const { schema, servedTypes } = queryContext(state);
  const known = contexts.get(schema);
  if (known?.eventLog === eventLog) return known.context;
  const context = {
    schema: { types: new Map([...schema.types, [EVENT_LOG_ENTRY, eventLog]]) },
    servedTypes: new Set([...servedTypes, EVENT_LOG_ENTRY]),
  };
  contexts.set(schema, { eventLog, context });
  return context;
}

/**
 * Answers a `read` of EventLogEntry (protocol §6) from our own log, so that event daemons ask us instead of the site:
 * gaps are the site's, links are resolved as they are now. What may reach below the first event that is held passes
 * through, and so does everything while an entry that was made through a reader is not held.
 * @param eventLog the type as the site describes it; null while that is not known.
 * @throws as answerLocally does.
 */
export function answerEventRead(
  parts: LocalParts,
  call: ApiCall,
  eventLog: CachedType | null,
): Promise<Answer> {
  return answerLocally(parts, call, (replica, state) => {
    if (eventLog === null) return passingThrough('type not ready', EVENT_LOG_ENTRY);
    const { payload } = call.envelope;
    const read = compileRead(payload, eventContext(state, eventLog));
    if ('passThrough' in read) return read;
    const { fromId, newestFirst } = eventReach(payload as Readonly<Record<string, unknown>>);
    if (fromId === null && (!newestFirst || read.countSql !== null)) return passingThrough('event not held');
    return async () => {
      if (await hasUnseenWrittenEvents(replica.db.pool)) return passingThrough('event not held');
      const reply = await runRead(parts.statements, read);
      const held = await heldFrom(replica.db.pool);
      const reachesAll = held !== null && fromId !== null && fromId >= held;
      const holdsAll = reachesAll || (newestFirst && reply.hasNextPage && read.countSql === null);
      if (!holdsAll) return passingThrough('event not held');
      return whyUnkept(reply.body) ?? new OwnBytes(reply.body);
    };
  });
}
