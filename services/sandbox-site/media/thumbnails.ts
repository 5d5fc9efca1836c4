import type { EntityRef } from '@understudy/domain/entity';
import { Caller, type Site } from '../caller.ts';
import type { Actor } from '../event-log.ts';
import { WriteTransaction } from '../write-transaction.ts';

/** Field of a thumbnail. */
export type ThumbnailField = 'image' | 'filmstrip_image';

/**
 * The work of making thumbnails of what was uploaded: it takes a while, during which the image reads as pending; its end
 * is told by a second event (protocol §6.3).
 */
export class Thumbnails {
  /** Ids of those that are not ready. */
  readonly pending = new Set<number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #delayMs: () => number;

  constructor(delayMs: () => number) {
    this.#delayMs = delayMs;
  }

  /** Begins to work on the thumbnail that an entity was just given. `replaced` is whether it had one before. */
  start(site: Site, actor: Actor, entity: EntityRef, field: ThumbnailField, id: number): void {
    this.pending.add(id);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.pending.delete(id);
      const stored = site.data.stored(entity);
      if (stored === undefined || stored.retired || stored.stored(field) !== id) return;
      const transaction = new WriteTransaction(site, new Caller(site, actor));
      transaction.thumbnailReady(stored, field, id);
      transaction.commit();
    }, this.#delayMs());
    this.#timers.add(timer);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
