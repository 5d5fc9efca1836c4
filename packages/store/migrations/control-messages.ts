import { Migration } from '@mikro-orm/migrations';

/** Messages to running services, what each instance answered, and which services are paused. */
export class ControlMessages extends Migration {
  override async up(): Promise<void> {
    this.addSql(`create table if not exists understudy.control_message (
      id uuid primary key, service text not null, name text not null, argument text not null,
      sent_at timestamptz not null, signature text not null)`);
    this.addSql(`create index if not exists control_message_sent_at on understudy.control_message (sent_at)`);
    this.addSql(`create table if not exists understudy.control_answer (
      message_id uuid not null references understudy.control_message on delete cascade, service text not null,
      instance text not null, version text not null, generation text, outcome text not null
      check (outcome in ('done', 'nothing', 'failed', 'refused')), said text not null,
      answered_at timestamptz not null default now(), primary key (message_id, service, instance))`);
    this.addSql(`create table if not exists understudy.service_pause (
      service text primary key, paused_at timestamptz not null default now())`);
  }
}
