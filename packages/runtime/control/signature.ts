import { createHmac, timingSafeEqual } from 'node:crypto';
import type { StoredMessage } from '@understudy/store/control-messages';

/** A message that is older is refused: whoever saw one go by cannot send it again later. */
export const AGE_MAX_MS = 30_000;

/** Signs everything that a message says, with its time. */
export function sign(secret: string, message: Omit<StoredMessage, 'signature'>): string {
  const signed = [message.id, message.service, message.name, message.argument, message.sentAt.toISOString()];
  return createHmac('sha256', secret).update(JSON.stringify(signed)).digest('hex');
}

/**
 * @param now PostgreSQL's time, which the sender's is as well.
 * @returns why a message is not to be obeyed, or null.
 */
export function whyRefused(secret: string, message: StoredMessage, now: Date): string | null {
  const expected = Buffer.from(sign(secret, message));
  const given = Buffer.from(message.signature);
  if (expected.length !== given.length || !timingSafeEqual(expected, given)) {
    return 'its signature does not fit: is control.secret the same on both sides?';
  }
  const ageMs = now.getTime() - message.sentAt.getTime();
  if (Math.abs(ageMs) > AGE_MAX_MS) return `it is ${Math.round(ageMs / 1_000)} s old`;
  return null;
}
