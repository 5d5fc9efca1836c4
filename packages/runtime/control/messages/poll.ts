import { type MessageKind, QUICK_MS } from '../message-kind.ts';
import { nothing } from '../target.ts';

export const poll: MessageKind = {
  name: 'poll',
  doc: 'read the site’s event log now (event-poller)',
  argument: null,
  timeoutMs: QUICK_MS,
  ends: false,
  handle: async (target) => (target.poll === undefined ? nothing('does not poll') : target.poll()),
};
