import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { isUnprepared, type Queryable } from '@understudy/store/database';
import { forgetService, heartbeat } from '@understudy/store/service-registry';
import type { Logger } from 'pino';
import { loop } from './loop.ts';

const BEAT_MS = 2_000;
export const VERSION = '0.1.0';

/** This process's name among its like. */
export function instanceName(): string {
  return `${hostname()}:${process.pid}`;
}

/**
 * A name to hold leases and budgets by, another one each time. Containers on one machine's network may share its name,
 * and each of them is process 1: by `instanceName` two of them would hold one lease.
 */
export function holderName(): string {
  return `${instanceName()} ${randomBytes(4).toString('hex')}`;
}

/** Tells the others every two seconds that this process lives, until the signal is aborted; then that it ended. */
export async function beat(
  q: Queryable,
  service: string,
  options: { readonly signal: AbortSignal; readonly log: Logger; readonly state: () => string },
): Promise<void> {
  const instance = instanceName();
  await loop('heartbeat', options, async () => {
    try {
      await heartbeat(q, { service, instance, version: VERSION, state: options.state() });
    } catch (error) {
      // The first start of all: a service that fills the replica makes the tables.
      if (!isUnprepared(error)) throw error;
    }
    return BEAT_MS;
  });
  await forgetService(q, service, instance).catch((error: unknown) => {
    options.log.debug({ err: error }, 'could not sign off');
  });
}
