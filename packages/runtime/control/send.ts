import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { answersTo, type StoredAnswer, sendMessage } from '@understudy/store/control-messages';
import type { Queryable } from '@understudy/store/database';
import { aliveServices } from '@understudy/store/service-registry';
import { databaseTime } from '@understudy/store/site-schema';
import type { MessageKind } from './message-kind.ts';
import { sign } from './signature.ts';

/** What came of a message at one instance; `silent`: it lives and gave no answer in time. */
export type Reply =
  | StoredAnswer
  | {
      readonly service: string;
      readonly instance: string;
      readonly outcome: 'silent';
      readonly said: string;
    };

/** A process that gave no sign of life for this long is not waited for. */
const ALIVE_MS = 10_000;
const LOOK_MS = 50;

/**
 * Sends a message to every instance of a service, or of all of them, and waits for the answer of each one that lives; for
 * a message that ends them, until they have ended.
 * @param service its name, or `all`.
 * @returns one reply an instance; none when no instance lives.
 */
export async function sendAndWait(
  q: Queryable,
  options: {
    readonly secret: string;
    readonly service: string;
    readonly kind: MessageKind;
    readonly argument: string;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<readonly Reply[]> {
  const { secret, service, kind, argument, signal } = options;
  const concerned = async (): Promise<readonly { service: string; instance: string }[]> =>
    (await aliveServices(q, ALIVE_MS)).filter((one) => service === 'all' || one.service === service);
  const expected = await concerned();
  if (expected.length === 0) return [];
  const unsigned = {
    id: randomUUID(),
    service,
    name: kind.name,
    argument,
    // PostgreSQL's clock: one for senders and receivers on all machines.
    sentAt: await databaseTime(q),
  };
  await sendMessage(q, { ...unsigned, signature: sign(secret, unsigned) });
  const keyOf = (one: { service: string; instance: string }): string => `${one.service} ${one.instance}`;
  const deadline = performance.now() + options.timeoutMs;
  let answers: readonly StoredAnswer[] = [];
  let ending: ReadonlySet<string> = new Set();
  const isComplete = async (): Promise<boolean> => {
    answers = await answersTo(q, unsigned.id);
    const answered = new Set(answers.map(keyOf));
    if (!expected.every((one) => answered.has(keyOf(one)))) return false;
    if (!kind.ends) return true;
    const obeyed = new Set(answers.flatMap((one) => (one.outcome === 'done' ? [keyOf(one)] : [])));
    ending = new Set((await concerned()).map(keyOf).filter((key) => obeyed.has(key)));
    return ending.size === 0;
  };
  while (!(await isComplete()) && performance.now() < deadline) await delay(LOOK_MS, undefined, { signal });
  const answered = new Map(answers.map((answer) => [keyOf(answer), answer]));
  const replies = expected.map((one): Reply => {
    const answer = answered.get(keyOf(one));
    if (answer === undefined) {
      const said = `no answer in ${options.timeoutMs / 1_000} s`;
      return { ...one, outcome: 'silent', said };
    }
    if (kind.ends && answer.outcome === 'done') {
      return { ...answer, said: ending.has(keyOf(one)) ? 'drains still' : 'has ended' };
    }
    return answer;
  });
  // One that started since answers as well, and is told of.
  const asked = new Set(expected.map(keyOf));
  return [...replies, ...answers.filter((answer) => !asked.has(keyOf(answer)))];
}
