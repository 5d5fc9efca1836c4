import { Migration } from '@mikro-orm/migrations';

/** What comparing samples with the site found. */
export class Audits extends Migration {
  override async up(): Promise<void> {
    this.addSql(`create table if not exists understudy.audit (
      id bigint generated always as identity primary key, at timestamptz not null default now(),
      source text not null check (source in ('audit', 'shadow')), entity_type text collate "C" not null,
      compared integer not null, different integer not null)`);
    this.addSql('create index if not exists audit_at on understudy.audit (at)');
    this.addSql(`create table if not exists understudy.audit_difference (
      audit_id bigint not null references understudy.audit on delete cascade, entity_id bigint not null,
      kind text not null, fields jsonb not null, primary key (audit_id, entity_id))`);
  }
}
