import { type MessageKind, QUICK_MS } from '../message-kind.ts';
import { done, nothing } from '../target.ts';

export const resume: MessageKind = {
  name: 'resume',
  doc: 'go on after `pause`',
  argument: null,
  timeoutMs: QUICK_MS,
  ends: false,
  handle: async (target) => {
    if (target.setPaused === undefined) return nothing('has no work to pause');
    await target.setPaused(false);
    return done('works');
  },
};
