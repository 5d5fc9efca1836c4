import { Migration } from '@mikro-orm/migrations';

/** Who may send how many requests to the site. Worth nothing after a crash of the server, so not logged. */
export class RequestBudgetTables extends Migration {
  override async up(): Promise<void> {
    this.addSql(`create unlogged table if not exists understudy.request_share (
      holder text primary key, places integer not null, wants jsonb not null, spare integer not null,
      expires_at timestamptz not null)`);
    this.addSql(`create unlogged table if not exists understudy.request_rate (
      single boolean primary key default true check (single), starts double precision not null,
      at timestamptz not null)`);
  }
}
