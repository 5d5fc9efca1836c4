import { Migration } from '@mikro-orm/migrations';

/** The event log as an entity table, so that reads of EventLogEntry compile like any other. */
export class EventLogEntryView extends Migration {
  override async up(): Promise<void> {
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
      where e.state <> 'stored'
        and e.id < coalesce(
          (select min(id) from understudy.event_log where state = 'stored' and not late), 9223372036854775807)`);
  }
}
