import { Migration } from '@mikro-orm/migrations';

/**
 * What is not applied yet is kept beside the event log, in a table of narrow rows: to mark an event as applied in the log
 * itself would write the whole entry and its index entries anew.
 */
export class OpenEvents extends Migration {
  override async up(): Promise<void> {
    // Nobody stores or applies an event while the rows are carried over.
    this.addSql('lock table understudy.event_log in access exclusive mode');
    this.addSql(`create table if not exists understudy.open_event (
      id bigint primary key, late boolean not null, stored_at timestamptz not null, error text)`);
    this.addSql(`do $$ begin
      if exists (select from information_schema.columns
          where table_schema = 'understudy' and table_name = 'event_log' and column_name = 'state') then
        insert into understudy.open_event (id, late, stored_at, error)
          select id, late, stored_at, case state when 'parked' then coalesce(error, 'unknown') end
          from understudy.event_log where state <> 'applied' on conflict do nothing;
      end if;
    end $$`);
    // Whoever stores an event, also a process of an older release: it waits until it is applied.
    this.addSql(`create or replace function understudy.open_stored_events() returns trigger language plpgsql as $$
      begin
        insert into understudy.open_event (id, late, stored_at) select id, late, stored_at from stored order by id;
        return null;
      end $$`);
    this.addSql(`create or replace trigger open_stored_events after insert on understudy.event_log
      referencing new table as stored for each statement execute function understudy.open_stored_events()`);
    // An event that waits to be applied is not shown yet, since what its entity is called is not known: one that came
    // in order hides those after it, so that nobody who reads on from the last id steps over it.
    this.addSql(`create or replace view understudy.event_log_entry as
      select e.id, true as _active, e.event_type, e.entry ->> 'attribute_name' as attribute_name,
        coalesce(e.entry #>> '{entity,type}', about.type) as entity__type,
        coalesce((e.entry #>> '{entity,id}')::bigint, about.id) as entity__id,
        e.entry #>> '{project,type}' as project__type, (e.entry #>> '{project,id}')::bigint as project__id,
        e.entry #>> '{user,type}' as user__type, (e.entry #>> '{user,id}')::bigint as user__id,
        e.entry -> 'meta' as meta, e.created_at, e.entry ->> 'description' as description,
        case when e.entry ->> 'session_uuid' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
          then (e.entry ->> 'session_uuid')::uuid end as session_uuid
      from understudy.event_log e
      left join lateral (
        -- The link was null if its target was retired when the event was read; it is there again after a revival.
        select e.entry #>> '{meta,entity_type}' as type, (e.entry #>> '{meta,entity_id}')::numeric::bigint as id
        where e.entry -> 'entity' = 'null' and jsonb_typeof(e.entry #> '{meta,entity_id}') = 'number'
          and e.entry #> '{meta,actual_attribute_changed}' is null
          and starts_with(e.event_type, 'Shotgun_' || (e.entry #>> '{meta,entity_type}') || '_')
      ) about on true
      where not exists (select from understudy.open_event o where o.id = e.id and o.error is null)
        and e.id < coalesce(
          (select min(id) from understudy.open_event where error is null and not late), 9223372036854775807)`);
    // No release read them: else they would stay until none of its processes runs.
    this.addSql('alter table understudy.event_log drop column if exists state, drop column if exists error');
  }
}
