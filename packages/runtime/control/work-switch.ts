import { isPaused, setPaused } from '@understudy/store/control-messages';
import type { Queryable } from '@understudy/store/database';
import type { Logger } from 'pino';
import { Bell } from '../bell.ts';
import { loop } from '../loop.ts';

/** A part of a service that rests while the service is paused. */
export interface Pausable {
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** Instances that missed the message learn of a pause or its end within this time. */
const LOOK_MS = 2_000;

/** Whether a service works or is paused. The database knows, so that a pause holds for all instances and over restarts. */
export class WorkSwitch {
  readonly #q: Queryable;
  readonly #service: string;
  readonly #parts: Pausable[] = [];
  #paused = false;
  #settling = Promise.resolve();
  /** Counts begins and ends of `set`: a look that saw the database beside one may have seen what was before it. */
  #sets = 0;
  /** Rings when work may begin again. */
  readonly bell = new Bell();

  constructor(q: Queryable, service: string) {
    this.#q = q;
    this.#service = service;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Has a part rest while the service is paused, from now on if it is. */
  async govern(part: Pausable): Promise<void> {
    this.#parts.push(part);
    if (this.#paused) await part.pause();
  }

  /** Pauses the service or ends its pause, for all instances. */
  async set(paused: boolean): Promise<void> {
    this.#sets += 1;
    await setPaused(this.#q, this.#service, paused).finally(() => {
      this.#sets += 1;
    });
    await this.#obey(paused);
  }

  /** Looks at what the database says: once before work begins, then from time to time. */
  async look(): Promise<void> {
    const sets = this.#sets;
    const paused = await isPaused(this.#q, this.#service);
    if (sets === this.#sets) await this.#obey(paused);
  }

  async follow(signal: AbortSignal, log: Logger): Promise<void> {
    await loop('looking for a pause', { signal, log }, async () => {
      await this.look();
      return LOOK_MS;
    });
  }

  #obey(paused: boolean): Promise<void> {
    const obeyed = this.#settling.then(async () => {
      if (paused === this.#paused) return;
      this.#paused = paused;
      try {
        for (const part of this.#parts) await (paused ? part.pause() : part.resume());
      } catch (error) {
        this.#paused = !paused;
        throw error;
      }
      if (!paused) this.bell.ring();
    });
    this.#settling = obeyed.catch(() => {
      // Its caller is told; the next one begins from the old state.
    });
    return obeyed;
  }
}
