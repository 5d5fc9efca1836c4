import type { EntityLink, EntityRef, Json } from './entity.ts';

/** An EventLogEntry as a `read` of the site returns it (protocol §6.1), only the fields the project uses. */
export interface EventLogEntry {
  readonly id: number;
  readonly event_type: string;
  readonly attribute_name: string | null;
  /** Resolved at read time: null once the target is retired (protocol §6.4). */
  readonly entity: EntityLink | null;
  readonly project: EntityLink | null;
  readonly user: EntityLink | null;
  readonly meta: Json;
  /** YYYY-MM-DDTHH:MM:SSZ */
  readonly created_at: string;
  readonly description: string | null;
  readonly session_uuid: string | null;
}

/** The fields of EventLogEntry that every poll asks for. */
export const EVENT_LOG_ENTRY_FIELDS = [
  'event_type',
  'attribute_name',
  'entity',
  'project',
  'user',
  'meta',
  'created_at',
  'description',
  'session_uuid',
] as const;

/**
 * What an event means to the replica. The kinds that change a row name it by `target`; `refresh` is an event
 * whose meaning is in doubt (protocol §6.3, §6.4), so that its entity must be fetched; `schema` says that the
 * site's schema changed; `ignore` concerns nothing that a replica keeps.
 */
export type EventChange =
  | { readonly kind: 'new'; readonly target: EntityRef }
  | {
      readonly kind: 'set';
      readonly target: EntityRef;
      readonly field: string;
      readonly dataType: string;
      readonly value: Json;
    }
  | {
      readonly kind: 'links';
      readonly target: EntityRef;
      readonly field: string;
      readonly added: readonly EntityLink[];
      readonly removed: readonly EntityLink[];
      /** Whether it was another entity that changed, and this list with it: `updated_at` may not have moved. */
      readonly isOtherSide: boolean;
    }
  | { readonly kind: 'retire'; readonly target: EntityRef }
  | { readonly kind: 'revive'; readonly target: EntityRef }
  | { readonly kind: 'refresh'; readonly target: EntityRef; readonly reason: string }
  | { readonly kind: 'schema'; readonly reason: string }
  | { readonly kind: 'ignore'; readonly reason: string };

/** An event as it travels in a batch: what it changes, and what the merge needs to order it. */
export interface NormalizedEvent {
  readonly id: number;
  /** The logical clock's reading, taken after the poll's answer arrived, in event id order. */
  readonly tick: number;
  /** YYYY-MM-DDTHH:MM:SSZ, by the site's clock. */
  readonly createdAt: string;
  /** Whether its id filled a gap: it came out of order, so its row is fetched rather than set. */
  readonly late: boolean;
  readonly user: EntityRef | null;
  readonly change: EventChange;
  /** Entities on the other side of a link that changed: their back-references changed with it. */
  readonly touched: readonly EntityRef[];
}
