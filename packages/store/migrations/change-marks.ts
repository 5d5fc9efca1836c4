import { Migration } from '@mikro-orm/migrations';

/**
 * Marks of what transactions changed: readers keep answers in memory for as long as nothing that they were made of has
 * been changed. The marks of entity tables are made by triggers that `change-marks.ts` adds to each.
 */
export class ChangeMarks extends Migration {
  override async up(): Promise<void> {
    this.addSql(`create table if not exists understudy.change_mark (
      xid xid8 not null default pg_current_xact_id(), mark text collate "C" not null, primary key (xid, mark))`);
    this.addSql(`create or replace function understudy.mark_change() returns trigger language plpgsql as $$
      begin
        insert into understudy.change_mark (mark) values (tg_argv[0]) on conflict do nothing;
        return null;
      end $$`);
    // Names are offered by every merge and seldom differ: a statement that changed none leaves no mark.
    this.addSql(`create or replace function understudy.mark_changed_rows() returns trigger language plpgsql as $$
      begin
        if exists (select from changed) then
          insert into understudy.change_mark (mark) values (tg_argv[0]) on conflict do nothing;
        end if;
        return null;
      end $$`);
    // One trigger cannot see the new rows of inserts and of updates both; one of the three has the name that readers know.
    const table = 'understudy.link_target';
    this.addSql(`create or replace trigger mark_insert after insert on ${table} referencing new table as changed
      for each statement execute function understudy.mark_changed_rows('${table}')`);
    this.addSql(`create or replace trigger mark_update after update on ${table} referencing new table as changed
      for each statement execute function understudy.mark_changed_rows('${table}')`);
    this.addSql(`create or replace trigger mark_change after delete or truncate on ${table}
      for each statement execute function understudy.mark_change('${table}')`);
    for (const name of ['mark_insert', 'mark_update', 'mark_change'])
      this.addSql(`alter table ${table} enable always trigger ${name}`);
  }
}
