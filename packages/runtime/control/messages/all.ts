import type { MessageKind } from '../message-kind.ts';
import { addField } from './add-field.ts';
import { drain } from './drain.ts';
import { logLevel } from './log-level.ts';
import { pause } from './pause.ts';
import { ping } from './ping.ts';
import { poll } from './poll.ts';
import { reloadSchema } from './reload-schema.ts';
import { resume } from './resume.ts';

/** Every message, in the order of `--help`. Add one here and write it in a file of its own. */
export const MESSAGES: readonly MessageKind[] = [
  ping,
  pause,
  resume,
  poll,
  drain,
  logLevel,
  reloadSchema,
  addField,
];

/** @returns undefined for a name that no message has. */
export function messageNamed(name: string): MessageKind | undefined {
  return MESSAGES.find((message) => message.name === name);
}
