import { Migration } from '@mikro-orm/migrations';

/**
 * The log of every change that the replica made to itself, partitioned by time. Partitions are made ahead by
 * `store/data-updates`; the default one only takes what would otherwise have no place.
 */
export class DataUpdates extends Migration {
  override async up(): Promise<void> {
    this.addSql('create sequence if not exists understudy.data_update_seq');
    this.addSql(`create table if not exists understudy.data_update (
      seq bigint not null default nextval('understudy.data_update_seq'),
      at timestamptz not null default clock_timestamp(), tick bigint not null,
      entity_type text collate "C" not null, entity_id bigint not null, field text collate "C" not null,
      old jsonb, new jsonb, source text not null, event_id bigint, user_type text, user_id bigint)
      partition by range (at)`);
    this.addSql(
      `create index if not exists data_update_entity on understudy.data_update (entity_type, entity_id, seq)`,
    );
    this.addSql(`create table if not exists understudy.data_update_other
      partition of understudy.data_update default`);
    this.addSql(`create table if not exists understudy.data_update_span (
      single boolean primary key default true check (single), logged boolean not null, since timestamptz not null,
      since_tick bigint not null)`);
    this.addSql(
      'alter table understudy.link_target add column if not exists _name_tick bigint not null default 0',
    );
  }
}
