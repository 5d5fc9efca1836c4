import { type MessageKind, QUICK_MS } from '../message-kind.ts';
import { done, nothing } from '../target.ts';

/** Kept in the database: instances that start later are paused as well. */
export const pause: MessageKind = {
  name: 'pause',
  doc: 'begin no new work: no polls, no jobs, no scans; until `resume`, also over restarts',
  argument: null,
  timeoutMs: QUICK_MS,
  ends: false,
  handle: async (target) => {
    if (target.setPaused === undefined) return nothing('has no work to pause');
    await target.setPaused(true);
    return done('paused');
  },
};
