import { type MessageKind, QUICK_MS } from '../message-kind.ts';
import { nothing } from '../target.ts';

export const reloadSchema: MessageKind = {
  name: 'reload-schema',
  doc: 'look now whether there is a newer generation of the schema',
  argument: null,
  timeoutMs: QUICK_MS,
  ends: false,
  handle: async (target) =>
    target.reloadSchema === undefined ? nothing('works without the cached schema') : target.reloadSchema(),
};
