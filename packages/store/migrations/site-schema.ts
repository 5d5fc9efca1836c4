import { Migration } from '@mikro-orm/migrations';

/** The site's schema as it told it, so that schema reads are answered from here. */
export class SiteSchemaReplies extends Migration {
  override async up(): Promise<void> {
    // `json`, not `jsonb`: the order of keys is the site's.
    this.addSql(`create table if not exists understudy.site_schema (
      single boolean primary key default true check (single), site_url text not null, schema_read json not null,
      schema_entity_read json not null, asked_at timestamptz not null, is_stale boolean not null default false,
      renewing_until timestamptz)`);
    this.addSql(`create index if not exists event_log_schema on understudy.event_log (stored_at)
      where event_type like 'Shotgun\\_DisplayColumn\\_%'`);
  }
}
