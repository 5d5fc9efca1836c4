import {
  answerMessage,
  CONTROL_CHANNEL,
  type StoredAnswer,
  type StoredMessage,
  unansweredMessages,
} from '@understudy/store/control-messages';
import { isUnprepared, type Queryable } from '@understudy/store/database';
import { type Listener, listen } from '@understudy/store/notifications';
import { databaseTime } from '@understudy/store/site-schema';
import type { Logger } from 'pino';
import { Bell } from '../bell.ts';
import { instanceName, VERSION } from '../heartbeat.ts';
import { loop } from '../loop.ts';
import { messageNamed } from './messages/all.ts';
import { whyRefused } from './signature.ts';
import type { ControlTarget } from './target.ts';

/** Messages are looked for this often where none is announced: a pooler in between may swallow it. */
const LOOK_MS = 2_000;

export interface ReceiveOptions {
  readonly service: string;
  readonly q: Queryable;
  /** Where to listen for announcements. */
  readonly databaseUrl: string;
  /** Empty: no message is taken. */
  readonly secret: string;
  readonly target: ControlTarget;
  /** The schema generation that the instance works with now. */
  readonly generation: () => string | null;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Takes messages for this instance, obeys those that are signed and new, and answers each, until the signal is aborted. */
export async function receiveMessages(options: ReceiveOptions): Promise<void> {
  const { service, q, secret, log, signal } = options;
  if (secret === '') {
    log.debug('no messages are taken: control.secret is not set');
    return;
  }
  const instance = instanceName();
  const bell = new Bell();
  const handled = new Set<string>();
  let listener: Listener | null = null;
  let startedAt: Date | null = null;

  const hear = async (): Promise<void> => {
    if (listener !== null) return;
    const opened = await listen({
      url: options.databaseUrl,
      applicationName: service,
      channel: CONTROL_CHANNEL,
      onNotice: () => bell.ring(),
    });
    listener = opened;
    void opened.ended.then(() => {
      if (listener === opened) listener = null;
    });
  };

  const messages = async (): ReturnType<typeof unansweredMessages> => {
    try {
      // A drained instance's successor must not be drained by the same message.
      startedAt ??= new Date((await databaseTime(q)).getTime() - process.uptime() * 1_000);
      return await unansweredMessages(q, service, instance, startedAt);
    } catch (error) {
      // The first start of all: there are no tables yet, hence no messages.
      if (!isUnprepared(error)) throw error;
      return [];
    }
  };

  await loop('taking messages', { signal, log, bell }, async () => {
    await hear();
    for (const { message, now } of await messages()) {
      // One that was obeyed is not obeyed again because its answer could not be stored.
      if (handled.has(message.id)) continue;
      handled.add(message.id);
      const answer = await obey(options, message, now);
      await answerMessage(q, message.id, { service, instance, version: VERSION, ...answer });
    }
    return LOOK_MS;
  });
  await (listener as Listener | null)?.close().catch((error: unknown) => {
    log.debug({ err: error }, 'the listening connection was gone');
  });
}

async function obey(
  { secret, target, generation, log }: ReceiveOptions,
  message: StoredMessage,
  now: Date,
): Promise<Pick<StoredAnswer, 'generation' | 'outcome' | 'said'>> {
  const { name, argument } = message;
  const reason = whyRefused(secret, message, now);
  if (reason !== null) {
    log.warn({ message: name, reason }, 'a message was refused');
    return { generation: null, outcome: 'refused', said: `refused: ${reason}` };
  }
  const kind = messageNamed(name);
  if (kind === undefined) {
    return { generation: generation(), outcome: 'refused', said: `this version knows no message ${name}` };
  }
  const parsed = kind.argument?.schema.safeParse(argument);
  if (parsed?.success === false) {
    return { generation: generation(), outcome: 'refused', said: `${kind.argument?.name}: ${argument}` };
  }
  try {
    const { outcome, said } = await kind.handle(target, argument);
    log.info({ message: name, ...(argument === '' ? {} : { argument }), outcome }, 'a message was obeyed');
    return { generation: generation(), outcome, said };
  } catch (error) {
    log.error({ err: error, message: name }, 'a message could not be obeyed');
    const said = error instanceof Error ? error.message : String(error);
    return { generation: generation(), outcome: 'failed', said };
  }
}
