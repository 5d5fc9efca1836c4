import { Migration } from '@mikro-orm/migrations';

/** Entries of the site's event log that clients made through a reader: until they are held, no reader may miss them. */
export class WrittenEvents extends Migration {
  override up(): void {
    this.addSql(
      `create table if not exists understudy.written_event (
        id bigint primary key,
        at timestamptz not null default now()
      )`,
    );
  }
}
