import { type EntityRow, isEntityRef, type Json } from '@understudy/domain/entity';
import { settleDifferences } from '@understudy/pipeline/audit/settle-differences';
import type { Replica } from '@understudy/pipeline/replica';
import { compareRows } from '@understudy/pipeline/verify/compare-rows';
import type { Logger } from '@understudy/runtime/logging';
import type { SiteClient, WireAuth } from '@understudy/site-client/site-client';
import { Counter, type Registry } from 'prom-client';
import { type Answer, type ApiCall, OwnBytes, SharedBytes } from './api-call.ts';

export interface ShadowReads {
  /**
   * Perhaps asks the site the same, after the client has its answer. Returns at once and never throws.
   * @param callOf gives the call; asked only where it is wanted.
   */
  offer(callOf: () => ApiCall, answer: Answer): void;
  /** Waits until none is under way. */
  close(): Promise<void>;
}

/** One at a time: shadows are a sample, and must never add up. */
const AT_ONCE = 1;
/** An answer larger than this is not looked at. */
const TEXT_MAX = 1_000_000;

interface ReadReply {
  readonly entities?: readonly EntityRow[];
}

/**
 * Asks the site what the replica has just answered, for a share of reads, in the background, and compares: rows that
 * differ and still do when both sides are looked at again are recorded, counted, logged and fetched again.
 * @param share of reads, from 0 to 1.
 */
export function createShadowReads(parts: {
  readonly share: number;
  readonly site: SiteClient;
  readonly replica: () => Replica | null;
  readonly registry: Registry;
  readonly log: Logger;
}): ShadowReads {
  const { share, site, log } = parts;
  const shadows = new Counter({
    name: 'understudy_reader_shadow_reads_total',
    help: 'Reads that were asked of the site as well, by what came of it',
    labelNames: ['outcome'] as const,
    registers: [parts.registry],
  });
  const differing = new Counter({
    name: 'understudy_reader_shadow_differences_total',
    help: 'Entities that a shadow read found to differ from the site',
    registers: [parts.registry],
  });
  const stopping = new AbortController();
  const underWay = new Set<Promise<void>>();

  const shadow = async (call: ApiCall, replica: Replica, ours: string): Promise<void> => {
    const payload = call.envelope.payload as Json;
    const { type, return_fields: asked } = payload as { type?: string; return_fields?: readonly string[] };
    if (type === undefined || !replica.schema.types.has(type)) return;
    const options = {
      priority: 'audit' as const,
      signal: stopping.signal,
      auth: call.envelope.auth as WireAuth,
    };
    const { results } = await site.call('read', payload, options);
    const theirs = byId((results as ReadReply | null)?.entities);
    const mine = byId((JSON.parse(ours) as { results: ReadReply }).results.entities);
    // Pictures have addresses of their own here.
    const cached = replica.schema.types.get(type);
    const fields = (asked ?? []).filter((name) => !isPicture(cached?.fields.get(name)?.dataType, name));
    const suspects = [...new Set([...theirs.keys(), ...mine.keys()])].filter((id) => {
      const [site_, here] = [theirs.get(id), mine.get(id)];
      return (
        site_ === undefined || here === undefined || Object.keys(compareRows(fields, site_, here)).length > 0
      );
    });
    const compared = new Set([...theirs.keys(), ...mine.keys()]).size;
    const found = { type, fields: fields.filter((name) => name !== 'id'), compared, suspects };
    const different = await settleDifferences(replica, 'shadow', found, stopping.signal);
    shadows.inc({ outcome: different.length === 0 ? 'same' : 'different' });
    differing.inc(different.length);
    for (const difference of different)
      log.warn({ difference, requestId: call.requestId }, 'the site answers otherwise; it is fetched again');
  };

  return {
    offer: (callOf, answer) => {
      if (share === 0 || answer.source !== 'replica' || answer.reason !== null) return;
      if (Math.random() >= share) return;
      const replica = parts.replica();
      // Kept answers are bytes; what is kept is what is most worth comparing.
      const body = textOf(answer.body);
      if (replica === null || body === null || body.length > TEXT_MAX) return;
      if (underWay.size >= AT_ONCE) {
        shadows.inc({ outcome: 'skipped' });
        return;
      }
      const call = callOf();
      const work = shadow(call, replica, body)
        .catch((error: unknown) => {
          shadows.inc({ outcome: 'failed' });
          if (!stopping.signal.aborted)
            log.debug({ err: error, requestId: call.requestId }, 'a shadow read failed');
        })
        .finally(() => underWay.delete(work));
      underWay.add(work);
    },
    close: async () => {
      stopping.abort(new Error('the reader stops'));
      await Promise.all(underWay);
    },
  };
}

/** @returns null for what passes by. */
function textOf(body: Answer['body']): string | null {
  if (typeof body === 'string') return body;
  return body instanceof OwnBytes || body instanceof SharedBytes ? body.bytes.toString('utf8') : null;
}

function byId(rows: readonly EntityRow[] | undefined): ReadonlyMap<number, EntityRow> {
  return new Map((rows ?? []).filter(isEntityRef).map((row) => [row.id, row as EntityRow]));
}

function isPicture(dataType: string | undefined, name: string): boolean {
  return dataType === 'image' || name.endsWith('.image') || name === 'image';
}
