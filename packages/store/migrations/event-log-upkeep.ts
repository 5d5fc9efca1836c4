import { Migration } from '@mikro-orm/migrations';

/** What a log of millions of events needs: where it is held without a hole, and what it says of one entity. */
export class EventLogUpkeep extends Migration {
  override async up(): Promise<void> {
    this.addSql(
      'alter table understudy.watermark add column if not exists held_from bigint not null default 0',
    );
    this.addSql(`create index if not exists event_log_entity on understudy.event_log (
      coalesce(entry #>> '{entity,type}', entry #>> '{meta,entity_type}'),
      coalesce(entry #>> '{entity,id}', entry #>> '{meta,entity_id}'), id)`);
  }
}
