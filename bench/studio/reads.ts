import type { Studio } from './studio.ts';

/** A read that is measured: as the plain SQL of it, and as the JSON API's payload. */
export interface MeasuredRead {
  readonly name: string;
  readonly what: string;
  /** Highest value of each parameter; each is drawn from 1 up. */
  readonly ranges: (studio: Studio) => readonly number[];
  /** With `$1`, `$2`; gives one row with one column, the JSON text. */
  readonly sql: string;
  readonly payload: (values: readonly number[]) => object;
}

const leaf = (path: string, relation: string, ...values: unknown[]): object => ({ path, relation, values });

/** As the official client builds it (protocol §3.1). */
const read = (type: string, fields: readonly string[], conditions: readonly object[], more: object = {}) => ({
  type,
  return_fields: fields,
  filters: { logical_operator: 'and', conditions },
  return_only: 'active',
  paging: { entities_per_page: 500, current_page: 1 },
  api_return_image_urls: true,
  return_paging_info_without_counts: true,
  ...more,
});

const linkJson = (type: string, id: string, name: string): string =>
  `case when ${id} is not null then json_build_object('type',${type},'id',${id},'name',${name}.name) end`;
const nameJoin = (alias: string, type: string, id: string): string =>
  `left join understudy_name ${alias} on ${alias}.entity_type=${type} and ${alias}.entity_id=${id}`;

export const MEASURED_READS: readonly MeasuredRead[] = [
  {
    name: 'q1',
    what: 'find_one Shot by id, 5 fields',
    ranges: (studio) => [studio.shots],
    sql: `select json_build_object('type','Shot','id',t.id,'code',t.code,'sg_status_list',t.sg_status_list,
      'description',t.description,'sg_cut_in',t.sg_cut_in,'sg_cut_out',t.sg_cut_out)::text as json
      from site.shot t where t._active and t.id=$1`,
    payload: ([id]) =>
      read(
        'Shot',
        ['code', 'sg_status_list', 'description', 'sg_cut_in', 'sg_cut_out'],
        [leaf('id', 'is', id)],
        { paging: { entities_per_page: 1, current_page: 1 } },
      ),
  },
  {
    name: 'q2',
    what: 'Tasks of a Shot: content, status, step, assignees, entity.Shot.code',
    ranges: (studio) => [studio.shots],
    sql: `select coalesce(json_agg(r),'[]')::text as json from (select 'Task' as type, t.id, t.content, t.sg_status_list,
      ${linkJson('t.step_type', 't.step_id', 'n1')} as step,
      (select coalesce(json_agg(json_build_object('type',l.target_type,'id',l.target_id,'name',n.name)),'[]')
        from site.task__task_assignees l ${nameJoin('n', 'l.target_type', 'l.target_id')}
        where l.entity_id=t.id) as task_assignees,
      s.code as "entity.Shot.code"
      from site.task t ${nameJoin('n1', 't.step_type', 't.step_id')}
      left join site.shot s on t.entity_type='Shot' and s.id=t.entity_id
      where t._active and t.entity_type='Shot' and t.entity_id=$1 order by t.id limit 500) r`,
    payload: ([id]) =>
      read(
        'Task',
        ['content', 'sg_status_list', 'step', 'task_assignees', 'entity.Shot.code'],
        [leaf('entity', 'is', { type: 'Shot', id })],
      ),
  },
  {
    name: 'q3',
    what: 'newest 500 Versions of a project, 10 fields, 4 of them links with names',
    ranges: (studio) => [studio.projects],
    sql: `select coalesce(json_agg(r),'[]')::text as json from (select 'Version' as type, t.id, t.code, t.sg_status_list,
      t.description, ${linkJson('t.entity_type', 't.entity_id', 'n1')} as entity,
      ${linkJson('t.sg_task_type', 't.sg_task_id', 'n2')} as sg_task,
      ${linkJson('t.user_type', 't.user_id', 'n3')} as "user",
      ${linkJson('t.project_type', 't.project_id', 'n4')} as project,
      to_jsonb(t.created_at) as created_at, t.sg_path_to_movie
      from site.version t ${nameJoin('n1', 't.entity_type', 't.entity_id')}
      ${nameJoin('n2', 't.sg_task_type', 't.sg_task_id')} ${nameJoin('n3', 't.user_type', 't.user_id')}
      ${nameJoin('n4', 't.project_type', 't.project_id')}
      where t._active and t.project_type='Project' and t.project_id=$1 order by t.id desc limit 500) r`,
    payload: ([id]) =>
      read(
        'Version',
        [
          'code',
          'sg_status_list',
          'description',
          'entity',
          'sg_task',
          'user',
          'project',
          'created_at',
          'sg_path_to_movie',
        ],
        [leaf('project', 'is', { type: 'Project', id })],
        { sorts: [{ field_name: 'id', direction: 'desc' }] },
      ),
  },
  {
    name: 'q4',
    what: 'Tasks where entity.Shot.sg_sequence is X and task_assignees is Y',
    ranges: (studio) => [studio.sequences, studio.users],
    sql: `select coalesce(json_agg(r),'[]')::text as json from (select 'Task' as type, t.id, t.content from site.task t
      join site.shot s on t.entity_type='Shot' and s.id=t.entity_id
      where t._active and s.sg_sequence_type='Sequence' and s.sg_sequence_id=$1
      and exists(select 1 from site.task__task_assignees l
        where l.entity_id=t.id and l.target_type='HumanUser' and l.target_id=$2)
      order by t.id limit 500) r`,
    payload: ([sequence, user]) =>
      read(
        'Task',
        ['content'],
        [
          leaf('entity.Shot.sg_sequence', 'is', { type: 'Sequence', id: sequence }),
          leaf('task_assignees', 'is', { type: 'HumanUser', id: user }),
        ],
      ),
  },
];
