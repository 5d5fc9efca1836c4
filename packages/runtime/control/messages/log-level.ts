import { z } from 'zod';
import { type MessageKind, QUICK_MS } from '../message-kind.ts';
import { done } from '../target.ts';

export const logLevel: MessageKind = {
  name: 'log-level',
  doc: 'log this and what is graver, until the process ends: trace, debug, info, warn, error, fatal',
  argument: { name: 'level', schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']) },
  timeoutMs: QUICK_MS,
  ends: false,
  handle: async (target, level) => {
    target.log.level = level;
    return done(`logs ${level} and graver`);
  },
};
