import { Migration } from '@mikro-orm/migrations';

/**
 * What is told of an entity at once, such as a field with `updated_at` and `updated_by`, is one entry (`_fields`), with
 * all values in `more`: a row of the log and of its index cost more than what is in it. `data_update_field` shows each
 * change by itself, also of entries that an older release makes, which are about one field and have no `more`.
 */
export class FoldedUpdates extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table understudy.data_update add column if not exists more json');
    this.addSql(`create or replace view understudy.data_update_field as
      select seq, 0::bigint as part, at, tick, entity_type, entity_id, field, old, new, source, event_id, user_type, user_id
      from understudy.data_update where field <> '_fields'
      union all
      select u.seq, m.part, u.at, u.tick, u.entity_type, u.entity_id, m.field collate "C",
        nullif((m.change -> 0)::jsonb, 'null'::jsonb), nullif((m.change -> 1)::jsonb, 'null'::jsonb),
        u.source, u.event_id, u.user_type, u.user_id
      from understudy.data_update u
      cross join lateral json_each(u.more) with ordinality as m(field, change, part) where u.more is not null`);
  }
}
