/**
 * Holds back jobs that a paused worker still gets: a worker of BullMQ begins no further job once it is paused, but what it
 * has asked the queue for already comes all the same.
 */
export class JobGate {
  #shut: PromiseWithResolvers<void> | null = null;
  #isClosed = false;

  shut(): void {
    if (!this.#isClosed) this.#shut ??= Promise.withResolvers();
  }

  open(): void {
    this.#shut?.resolve();
    this.#shut = null;
  }

  /** For good: jobs that are held back fail, so that somebody else is given them. */
  close(): void {
    this.#isClosed = true;
    this.open();
  }

  /** Waits while it is shut. @throws Error when it is closed meanwhile. */
  async pass(): Promise<void> {
    while (this.#shut !== null) {
      await this.#shut.promise;
      if (this.#isClosed) throw new Error('the worker ends while it is paused');
    }
  }
}
