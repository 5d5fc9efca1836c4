import { z } from 'zod';
import type { MessageKind } from '../message-kind.ts';
import { nothing } from '../target.ts';

/** The site is asked for its schema, and columns are made. */
const ADD_MS = 60_000;

export const addField: MessageKind = {
  name: 'add-field',
  doc: 'keep one more field of the site: a schema generation of one field, made by the leading event-poller',
  argument: {
    name: 'Type.field',
    schema: z.string().regex(/^[A-Z][A-Za-z0-9]*\.[a-z][a-z0-9_]*$/, 'must be like Shot.sg_note'),
  },
  timeoutMs: ADD_MS,
  ends: false,
  handle: async (target, path) =>
    target.addField === undefined ? nothing('follows the generations by itself') : target.addField(path),
};
