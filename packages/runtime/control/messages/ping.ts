import { type MessageKind, QUICK_MS } from '../message-kind.ts';
import { done } from '../target.ts';

export const ping: MessageKind = {
  name: 'ping',
  doc: 'answer: name, version, generation',
  argument: null,
  timeoutMs: QUICK_MS,
  ends: false,
  handle: async () => done('is there'),
};
