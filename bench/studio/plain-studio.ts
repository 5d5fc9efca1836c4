import type { Studio } from './studio.ts';

/**
 * The same studio on the plainest table layout that anybody would draw, with the indexes that the four reads want: what
 * the replica is measured against.
 */
export const PLAIN_TABLES = `
create schema site;
create table site.project(id int primary key, name text, _active bool default true);
create table site.sequence(id int primary key, code text, project_id int, _active bool default true);
create table site.shot(id int primary key, code text, sg_status_list text, description text, sg_sequence_type text,
  sg_sequence_id int, project_type text, project_id int, sg_cut_in int, sg_cut_out int, created_at timestamptz,
  updated_at timestamptz, _active bool default true);
create table site.step(id int primary key, code text, _active bool default true);
create table site.human_user(id int primary key, name text, login text, _active bool default true);
create table site.task(id int primary key, content text, sg_status_list text, step_type text, step_id int,
  entity_type text, entity_id int, project_type text, project_id int, start_date date, due_date date,
  updated_at timestamptz, _active bool default true);
create table site.task__task_assignees(entity_id int, target_type text, target_id int,
  primary key(entity_id,target_type,target_id));
create table site.version(id int primary key, code text, sg_status_list text, description text, entity_type text,
  entity_id int, sg_task_type text, sg_task_id int, user_type text, user_id int, project_type text, project_id int,
  created_at timestamptz, sg_path_to_movie text, _active bool default true);
create table understudy_name(entity_type text, entity_id int, name text, primary key(entity_type,entity_id));`;

const PLAIN_INDEXES = `
create index on site.task(entity_type,entity_id);
create index on site.version(project_type,project_id,id desc);
create index on site.shot(sg_sequence_type,sg_sequence_id);
create index on site.task__task_assignees(target_type,target_id,entity_id);`;

/** Statements that fill the plain tables with a studio; equal to `studioRows`. */
export function plainStudioSql(studio: Studio): readonly string[] {
  const { projects, sequences, shots, tasks, versions, users, steps } = studio;
  return [
    PLAIN_TABLES,
    `insert into site.project select i,'proj_'||i from generate_series(1,${projects}) i`,
    `insert into site.sequence select i,'sq_'||i, i%${projects}+1 from generate_series(1,${sequences}) i`,
    `insert into site.shot select i,'sh_'||lpad(i::text,6,'0'),(array['wtg','ip','fin'])[i%3+1],'a shot number '||i,
      'Sequence',(i-1)/25+1,'Project',((i-1)/25+1)%${projects}+1,1001,1001+i%200,now(),now()
      from generate_series(1,${shots}) i`,
    `insert into site.step select i,'step'||i from generate_series(1,${steps}) i`,
    `insert into site.human_user select i,'User '||i,'u'||i from generate_series(1,${users}) i`,
    `insert into site.task select i,'task '||i,(array['wtg','ip','fin'])[i%3+1],'Step',i%${steps}+1,'Shot',(i-1)/6+1,
      'Project',1,'2026-01-01','2026-02-01',now() from generate_series(1,${tasks}) i`,
    `insert into site.task__task_assignees select i,'HumanUser',i%${users}+1 from generate_series(1,${tasks}) i`,
    `insert into site.task__task_assignees select i,'HumanUser',(i+7)%${users}+1 from generate_series(1,${tasks},3) i
      on conflict do nothing`,
    `insert into site.version select i,'v'||lpad(i::text,7,'0'),'rev','some description text '||i,'Shot',i%${shots}+1,
      'Task',i,'HumanUser',i%${users}+1,'Project',i%${projects}+1,now(),'/path/to/movie/'||i||'.mov'
      from generate_series(1,${versions}) i`,
    `insert into understudy_name select 'Project',id,name from site.project union all
      select 'Sequence',id,code from site.sequence union all select 'Shot',id,code from site.shot union all
      select 'Step',id,code from site.step union all select 'HumanUser',id,name from site.human_user union all
      select 'Task',id,content from site.task`,
    PLAIN_INDEXES,
    'vacuum analyze',
  ];
}
