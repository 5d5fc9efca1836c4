import { Migration } from '@mikro-orm/migrations';

/** Runs that compare the replica with the site or replay the stored log, in chunks. */
export class Reprocess extends Migration {
  override async up(): Promise<void> {
    this.addSql(`create table if not exists understudy.reprocess (
      id bigint generated always as identity primary key, kind text not null check (kind in ('retirement', 'events')),
      reason text not null, since timestamptz, created_at timestamptz not null default now(), finished_at timestamptz)`);
    this.addSql(`create table if not exists understudy.reprocess_chunk (
      id bigint generated always as identity primary key,
      reprocess_id bigint not null references understudy.reprocess on delete cascade,
      kind text not null check (kind in ('ids', 'entities', 'events')), entity_type text collate "C" not null,
      from_id bigint not null, to_id bigint not null, ids bigint[],
      state text not null default 'open' check (state in ('open', 'done')), checked bigint not null default 0,
      repaired bigint not null default 0, attempts integer not null default 0, error text, claimed_until timestamptz)`);
    this.addSql(
      `create index if not exists reprocess_chunk_open on understudy.reprocess_chunk (id) where state = 'open'`,
    );
    this.addSql(
      'create index if not exists reprocess_chunk_run on understudy.reprocess_chunk (reprocess_id)',
    );
  }
}
