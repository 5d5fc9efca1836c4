import { Migration } from '@mikro-orm/migrations';

/**
 * Marks the refresh requests of entities that were written through a reader which could not merge them before its reply:
 * until they are fetched, no reader may show them.
 */
export class UnmergedWrites extends Migration {
  override up(): void {
    this.addSql('alter table understudy.refresh_request add column if not exists written_at timestamptz');
    this.addSql(
      'create index if not exists refresh_request_written_idx on understudy.refresh_request (written_at) where written_at is not null',
    );
  }
}
