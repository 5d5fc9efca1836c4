import type { EntityRow, Json } from '@understudy/domain/entity';

/** How large the studio is; every figure is measured on the same one. */
export interface Studio {
  readonly projects: number;
  readonly sequences: number;
  readonly shots: number;
  readonly tasks: number;
  readonly versions: number;
  readonly users: number;
  readonly steps: number;
}

/** A studio `times` as large; people and pipeline steps stay as many. */
export function studioOf(times: number): Studio {
  return {
    projects: 20 * times,
    sequences: 400 * times,
    shots: 10_000 * times,
    tasks: 60_000 * times,
    versions: 40_000 * times,
    users: 50,
    steps: 8,
  };
}

const STATUSES = ['wtg', 'ip', 'fin'];
const NOW = '2026-06-01T10:00:00Z';

const status = (i: number): string => STATUSES[i % STATUSES.length] ?? '';
const shotCode = (i: number): string => `sh_${String(i).padStart(6, '0')}`;
const versionCode = (i: number): string => `v${String(i).padStart(7, '0')}`;
const link = (type: string, id: number, name: string): Json => ({ type, id, name });

const sequenceOfShot = (i: number): number => Math.floor((i - 1) / 25) + 1;
const project = (id: number): Json => link('Project', id, `proj_${id}`);
const shot = (id: number): Json => link('Shot', id, shotCode(id));
const user = (id: number): Json => link('HumanUser', id, `User ${id}`);

/** Ids of the people on a task: one for each, two for every third. */
export function assigneesOf(studio: Studio, task: number): readonly number[] {
  const first = (task % studio.users) + 1;
  return (task - 1) % 3 === 0 ? [first, ((task + 7) % studio.users) + 1] : [first];
}

function* rows(
  type: string,
  count: number,
  fields: (i: number) => Readonly<Record<string, Json>>,
): Generator<EntityRow> {
  for (let id = 1; id <= count; id += 1) yield { type, id, ...fields(id) };
}

/** Every row of the studio as a `read` of the site returns it (protocol §3.5), type by type. Equal to `plainStudioSql`. */
export function studioRows(studio: Studio): ReadonlyMap<string, () => Iterable<EntityRow>> {
  return new Map<string, () => Iterable<EntityRow>>([
    [
      'Project',
      () =>
        rows('Project', studio.projects, (i) => ({ name: `proj_${i}`, cached_display_name: `proj_${i}` })),
    ],
    [
      'Sequence',
      () =>
        rows('Sequence', studio.sequences, (i) => ({
          code: `sq_${i}`,
          cached_display_name: `sq_${i}`,
          project: project((i % studio.projects) + 1),
        })),
    ],
    [
      'Shot',
      () =>
        rows('Shot', studio.shots, (i) => ({
          code: shotCode(i),
          cached_display_name: shotCode(i),
          sg_status_list: status(i),
          description: `a shot number ${i}`,
          sg_sequence: link('Sequence', sequenceOfShot(i), `sq_${sequenceOfShot(i)}`),
          project: project((sequenceOfShot(i) % studio.projects) + 1),
          sg_cut_in: 1_001,
          sg_cut_out: 1_001 + (i % 200),
          created_at: NOW,
          updated_at: NOW,
        })),
    ],
    [
      'Step',
      () => rows('Step', studio.steps, (i) => ({ code: `step${i}`, cached_display_name: `step${i}` })),
    ],
    [
      'HumanUser',
      () =>
        rows('HumanUser', studio.users, (i) => ({
          name: `User ${i}`,
          cached_display_name: `User ${i}`,
          login: `u${i}`,
        })),
    ],
    [
      'Task',
      () =>
        rows('Task', studio.tasks, (i) => ({
          content: `task ${i}`,
          cached_display_name: `task ${i}`,
          sg_status_list: status(i),
          step: link('Step', (i % studio.steps) + 1, `step${(i % studio.steps) + 1}`),
          entity: shot(Math.floor((i - 1) / 6) + 1),
          project: project(1),
          start_date: '2026-01-01',
          due_date: '2026-02-01',
          updated_at: NOW,
          task_assignees: assigneesOf(studio, i).map(user),
        })),
    ],
    [
      'Version',
      () =>
        rows('Version', studio.versions, (i) => ({
          code: versionCode(i),
          cached_display_name: versionCode(i),
          sg_status_list: 'rev',
          description: `some description text ${i}`,
          entity: shot((i % studio.shots) + 1),
          sg_task: link('Task', i, `task ${i}`),
          user: user((i % studio.users) + 1),
          project: project((i % studio.projects) + 1),
          created_at: NOW,
          sg_path_to_movie: `/path/to/movie/${i}.mov`,
        })),
    ],
  ]);
}
