import type { Queryable } from './database.ts';

/** A message to every running instance of a service, or of all (`all`). */
export interface StoredMessage {
  /** A UUID; a message is handled once. */
  readonly id: string;
  readonly service: string;
  readonly name: string;
  readonly argument: string;
  readonly sentAt: Date;
  readonly signature: string;
}

/** How an instance answered: `nothing`, when the message does not concern it. */
export type AnswerOutcome = 'done' | 'nothing' | 'failed' | 'refused';

/** What an instance answered. */
export interface StoredAnswer {
  readonly service: string;
  readonly instance: string;
  readonly version: string;
  /** The schema generation that it works with; null where it works with none. */
  readonly generation: string | null;
  readonly outcome: AnswerOutcome;
  readonly said: string;
}

/** The channel on which a message is announced (LISTEN, NOTIFY). */
export const CONTROL_CHANNEL = 'understudy_control';
/** Messages and answers older than this are deleted by whoever sends the next one. */
const KEPT = '1 day';
/** Messages older than this are not even looked at. */
const LOOKED_AT = '5 minutes';

/** Stores a message and announces it. */
export async function sendMessage(q: Queryable, message: StoredMessage): Promise<void> {
  await q.query(`delete from understudy.control_message where sent_at < now() - interval '${KEPT}'`);
  await q.query(
    `with sent as (insert into understudy.control_message (id, service, name, argument, sent_at, signature)
       values ($1, $2, $3, $4, $5, $6))
     select pg_notify('${CONTROL_CHANNEL}', $1::text)`,
    [message.id, message.service, message.name, message.argument, message.sentAt, message.signature],
  );
}

/**
 * Messages for an instance that it has not answered, oldest first, with PostgreSQL's time now.
 * @param startedAt when the instance started, by PostgreSQL's clock: what was sent before was sent to others.
 */
export async function unansweredMessages(
  q: Queryable,
  service: string,
  instance: string,
  startedAt: Date,
): Promise<readonly { readonly message: StoredMessage; readonly now: Date }[]> {
  const { rows } = await q.query<{
    id: string;
    service: string;
    name: string;
    argument: string;
    sent_at: Date;
    signature: string;
    now: Date;
  }>(
    `select id, service, name, argument, sent_at, signature, now() from understudy.control_message m
     where service in ($1, 'all') and sent_at > greatest($3, now() - interval '${LOOKED_AT}')
       and not exists (select from understudy.control_answer a
         where a.message_id = m.id and a.service = $1 and a.instance = $2)
     order by sent_at, id`,
    [service, instance, startedAt],
  );
  return rows.map(({ sent_at: sentAt, now, ...message }) => ({ message: { ...message, sentAt }, now }));
}

/** Stores an instance's answer; a second one is ignored. */
export async function answerMessage(q: Queryable, messageId: string, answer: StoredAnswer): Promise<void> {
  await q.query(
    `insert into understudy.control_answer (message_id, service, instance, version, generation, outcome, said)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
    [
      messageId,
      answer.service,
      answer.instance,
      answer.version,
      answer.generation,
      answer.outcome,
      answer.said,
    ],
  );
}

/** What was answered so far. */
export async function answersTo(q: Queryable, messageId: string): Promise<readonly StoredAnswer[]> {
  const { rows } = await q.query<{
    service: string;
    instance: string;
    version: string;
    generation: string | null;
    outcome: AnswerOutcome;
    said: string;
  }>(
    `select service, instance, version, generation, outcome, said from understudy.control_answer
     where message_id = $1 order by service, instance`,
    [messageId],
  );
  return rows;
}

/** Whether a service is paused, wherever and whenever its instances were started. */
export async function isPaused(q: Queryable, service: string): Promise<boolean> {
  const { rowCount } = await q.query('select from understudy.service_pause where service = $1', [service]);
  return rowCount === 1;
}

/** Pauses a service or ends its pause. */
export async function setPaused(q: Queryable, service: string, paused: boolean): Promise<void> {
  if (paused) {
    await q.query('insert into understudy.service_pause (service) values ($1) on conflict do nothing', [
      service,
    ]);
  } else await q.query('delete from understudy.service_pause where service = $1', [service]);
}
