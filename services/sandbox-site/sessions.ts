import { randomUUID } from 'node:crypto';
import type { EntityRef } from '@understudy/domain/entity';

interface Session {
  readonly user: EntityRef;
  usedAt: number;
}

/** Session tokens handed out, and whose they are; one that is used stays alive. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #lifetimeMs: () => number;

  constructor(lifetimeMs: () => number) {
    this.#lifetimeMs = lifetimeMs;
  }

  create(user: EntityRef): string {
    const token = randomUUID();
    this.#sessions.set(token, { user: { type: user.type, id: user.id }, usedAt: Date.now() });
    return token;
  }

  /**
   * @param rejectIfExpired whether one that was not used for its lifetime is refused; otherwise it is renewed
   * (protocol §1.2).
   * @returns whose it is, or undefined for one that is refused.
   */
  use(token: string, rejectIfExpired: boolean): EntityRef | undefined {
    const session = this.#sessions.get(token);
    if (session === undefined) return undefined;
    const isExpired = Date.now() - session.usedAt > this.#lifetimeMs();
    if (isExpired && rejectIfExpired) return undefined;
    session.usedAt = Date.now();
    return session.user;
  }

  /** Ends every session. */
  clear(): void {
    this.#sessions.clear();
  }
}
