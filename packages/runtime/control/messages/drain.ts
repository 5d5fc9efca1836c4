import type { MessageKind } from '../message-kind.ts';
import { done } from '../target.ts';

/** As long as a service may take for what it has in hand. */
const DRAIN_MS = 60_000;

export const drain: MessageKind = {
  name: 'drain',
  doc: 'finish what is in hand and end; whoever keeps the service running starts it again',
  argument: null,
  timeoutMs: DRAIN_MS,
  ends: true,
  handle: async (target) => {
    target.drain();
    return done('drains');
  },
};
