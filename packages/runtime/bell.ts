import { setTimeout as delay } from 'node:timers/promises';

/** Wakes whoever waits, before its time. */
export class Bell {
  #rung = Promise.withResolvers<void>();

  /** Ends every wait that is under way. */
  ring(): void {
    const rung = this.#rung;
    this.#rung = Promise.withResolvers<void>();
    rung.resolve();
  }

  /** Waits until it rings, the time is over or the signal is aborted. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const done = new AbortController();
    const either = AbortSignal.any([signal, done.signal]);
    const time = delay(ms, undefined, { signal: either }).catch((error: unknown) => {
      if (!either.aborted) throw error;
    });
    await Promise.race([time, this.#rung.promise]);
    done.abort();
  }
}
