import { Migration } from '@mikro-orm/migrations';

/**
 * What one fetch tells of many rows of a type is one entry about all of them, with `entity_id` 0 and the lowest and highest
 * of their ids in `old` and `new`: `_rows`, of rows that appeared, their ids in `more`; `_many`, of rows that changed, with
 * what `_fields` has of one by their ids. A first scan of millions of rows would else write as many entries.
 */
export class BundledUpdates extends Migration {
  override async up(): Promise<void> {
    // In pieces as they are: to make them smaller takes longer than to write them.
    this.addSql('alter table understudy.data_update alter column more set storage external');
    this.addSql(`create or replace view understudy.data_update_single as
      select seq, 0::bigint as part, at, tick, entity_type, entity_id, field, old, new, source, event_id, user_type, user_id
      from understudy.data_update where field not in ('_fields', '_many', '_rows')
      union all
      select u.seq, m.part, u.at, u.tick, u.entity_type, u.entity_id, ${changed('m')}, ${TOLD}
      from understudy.data_update u
      cross join lateral json_each(u.more) with ordinality as m(field, change, part) where u.field = '_fields'`);
    this.addSql(`create or replace view understudy.data_update_field as
      select * from understudy.data_update_single
      union all
      select u.seq, r.place * ${FIELDS_MAX} + m.part, u.at, u.tick, u.entity_type, r.id::bigint, ${changed('m')}, ${TOLD}
      from understudy.data_update u
      cross join lateral json_each(u.more) with ordinality as r(id, fields, place)
      cross join lateral json_each(r.fields) with ordinality as m(field, change, part) where u.field = '_many'
      union all
      select u.seq, r.place, u.at, u.tick, u.entity_type, r.id::bigint, ${appeared}, ${TOLD}
      from understudy.data_update u
      cross join lateral json_array_elements_text(u.more) with ordinality as r(id, place) where u.field = '_rows'`);
    // Asked for one entity, only the entries about many that may be about it are taken apart.
    const mayBe = `u.entity_type = of_type and u.entity_id = 0
      and case when u.field in ('_many', '_rows') then of_id between u.old::bigint and u.new::bigint end`;
    this.addSql(`create or replace function understudy.updates_of(of_type text, of_id bigint)
      returns setof understudy.data_update_field language sql stable as $$
        select * from understudy.data_update_single where entity_type = of_type and entity_id = of_id
        union all
        select u.seq, m.part, u.at, u.tick, u.entity_type, of_id, ${changed('m')}, ${TOLD}
        from understudy.data_update u
        cross join lateral json_each(u.more -> of_id::text) with ordinality as m(field, change, part)
        where u.field = '_many' and ${mayBe}
        union all
        select u.seq, 0::bigint, u.at, u.tick, u.entity_type, of_id, ${appeared}, ${TOLD}
        from understudy.data_update u
        where u.field = '_rows' and ${mayBe}
          and exists (select from json_array_elements_text(u.more) id where id = of_id::text)
      $$`);
  }
}

/** More than any type has. */
const FIELDS_MAX = 100_000;
/** Who told of it. */
const TOLD = 'u.source, u.event_id, u.user_type, u.user_id';
/** A field with its values before and after. */
const changed = (alias: string): string =>
  `${alias}.field collate "C", nullif((${alias}.change -> 0)::jsonb, 'null'::jsonb), nullif((${alias}.change -> 1)::jsonb, 'null'::jsonb)`;
const appeared = `'_row' collate "C", null::jsonb, 'true'::jsonb`;
