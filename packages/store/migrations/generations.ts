import { Migration } from '@mikro-orm/migrations';

/** Generations of the cached schema, and which fields are followed and may be served. */
export class Generations extends Migration {
  override async up(): Promise<void> {
    this.addSql(`create table if not exists understudy.schema_state (
      single boolean primary key default true check (single), epoch bigint not null, version bigint not null,
      site_url text not null, site_schema jsonb not null, read_at timestamptz not null,
      changed_at timestamptz not null default now())`);
    this.addSql(`create table if not exists understudy.generation (
      id bigint generated always as identity primary key,
      state text not null check (state in ('following', 'scanning', 'ready', 'serving', 'retired')),
      source text not null, declared text not null, schema text not null, automatic boolean not null,
      created_at timestamptz not null default now(), scanning_at timestamptz, ready_at timestamptz,
      serving_at timestamptz, retired_at timestamptz, released_at timestamptz, dropped_at timestamptz)`);
    this.addSql(
      `create unique index if not exists generation_serving on understudy.generation ((true)) where state = 'serving'`,
    );
    this.addSql(`create table if not exists understudy.followed_field (
      entity_type text collate "C" not null, field text collate "C" not null, data_type text not null,
      since_epoch bigint not null, served_at timestamptz, primary key (entity_type, field))`);
    this.addSql(`create table if not exists understudy.site_change (
      id bigint generated always as identity primary key, entity_type text not null, field text, kind text not null,
      message text not null, seen_at timestamptz not null default now())`);
    this.addSql('alter table understudy.scan add column if not exists epoch bigint');
    this.addSql('alter table understudy.scan_chunk add column if not exists fields text[]');
    this.addSql('drop table if exists understudy.served_type');
    this.addSql('drop table if exists understudy.replica_schema');
  }
}
