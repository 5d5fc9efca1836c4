import type { EntityRef, Json } from '@understudy/domain/entity';
import type { LoggedEvent } from './event-table.ts';
import type { Faults } from './faults.ts';
import type { Random } from './random.ts';
import type { SiteData } from './site-data.ts';

/** Who makes a change, and in which session. */
export interface Actor {
  readonly user: EntityRef;
  readonly sessionUuid: string | null;
  readonly sudoActualUser: EntityRef | null;
}

/** An event before it has a time and an id. */
export interface EventDraft {
  readonly action: 'New' | 'Change' | 'Retirement' | 'Revival' | 'Delete';
  /** What the event type names, where that is not the entity's type. */
  readonly subject?: string;
  readonly entity: EntityRef;
  readonly attribute: string | null;
  readonly project: EntityRef | null;
  readonly meta: Readonly<Record<string, Json>>;
  readonly description: string;
}

/** A moment as the site writes it. */
export const wireTime = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

/**
 * The site's event log. Ids are taken when a write begins to log and become visible when it commits, so that they may
 * appear late, out of order, or never (protocol §6.5).
 */
export class EventLog {
  readonly #data: SiteData;
  readonly #faults: () => Faults;
  readonly #random: Random;
  readonly #late = new Map<NodeJS.Timeout, () => void>();

  constructor(data: SiteData, faults: () => Faults, random: Random) {
    this.#data = data;
    this.#faults = faults;
    this.#random = random;
  }

  /** Takes the next event id. */
  allocate(): number {
    return this.#data.allocateId('EventLogEntry');
  }

  /** Makes the events of one write visible: at once, late, or not at all, as the faults say. */
  commit(actor: Actor, drafts: readonly { readonly id: number; readonly draft: EventDraft }[]): void {
    const faults = this.#faults();
    const at = wireTime(new Date());
    if (faults.lostIdRate > 0 && this.#random() < faults.lostIdRate) this.allocate();
    const publish = (): void => {
      for (const { id, draft } of drafts) this.#publish(id, draft, actor, at);
    };
    if (faults.lateRate > 0 && this.#random() < faults.lateRate) {
      const timer = setTimeout(() => {
        this.#late.delete(timer);
        publish();
      }, faults.lateMs);
      this.#late.set(timer, publish);
    } else publish();
  }

  /** Shows one entry that tells of no change. */
  show(event: LoggedEvent): void {
    this.#data.publish(event);
  }

  /** Whether a write makes no events this time. */
  isSilent(): boolean {
    const { silentRate } = this.#faults();
    return silentRate > 0 && this.#random() < silentRate;
  }

  /** Shows what is late. */
  close(): void {
    for (const [timer, publish] of this.#late) {
      clearTimeout(timer);
      publish();
    }
  }

  #publish(id: number, draft: EventDraft, actor: Actor, at: string): void {
    this.#data.publish({
      id,
      eventType: `Shotgun_${draft.subject ?? draft.entity.type}_${draft.action}`,
      attribute: draft.attribute,
      entity: draft.entity,
      project: draft.project,
      user: actor.user,
      meta:
        actor.sudoActualUser === null
          ? draft.meta
          : { ...draft.meta, sudo_actual_user: actor.sudoActualUser as unknown as Json },
      createdAt: at,
      description: draft.description,
      sessionUuid: actor.sessionUuid,
    });
  }
}
