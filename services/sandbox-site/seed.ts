import type { Json } from '@understudy/domain/entity';
import { SCRIPTS } from './auth.ts';
import type { StoredEntity } from './entity-table.ts';
import type { SeededHistory } from './event-table.ts';
import { RULE_SET_CODES } from './permissions.ts';
import { pick, pickNumber, type Random } from './random.ts';
import type { SiteData } from './site-data.ts';

const FIRST = [
  'Ada',
  'Björn',
  'Chloé',
  'Dmitri',
  'Elena',
  'Farid',
  'Grace',
  'Hiro',
  'Inès',
  'Jonas',
  'Kavya',
  'Łukasz',
];
const LAST = [
  'Almeida',
  'Brontë',
  'Chen',
  'Dubois',
  'Eriksson',
  'Fischer',
  'Garcia',
  'Hoang',
  'Ito',
  'Novák',
  'O’Neil',
  'Šimić',
];
const SHOWS = ['Aurora', 'Basilisk', 'Cinder', 'Driftwood', 'Ember', 'Fathom', 'Gossamer', 'Halcyon'];
const STEPS = ['Layout', 'Animation', 'FX', 'Lighting', 'Comp', 'Model', 'Rig', 'Surface'];
const STATUSES = ['wtg', 'rdy', 'ip', 'rev', 'fin', 'hld', 'omt'];
const ASSET_TYPES = ['Character', 'Prop', 'Environment', 'Vehicle', 'FX'];
const WORDS = ['hero', 'rain', 'window', 'crowd', 'dusk', 'bridge', '100%_wet', 'a &lt; b', 'fumée', 'plate'];

/** Rule sets of the first people; the others are artists. */
const PEOPLES_RULES = ['admin', 'artist', 'manager', 'vendor', 'client'];

/** Versions that are looked at together. */
const DAILIES = 5;

/** From so many entities on a studio is very large. */
const LARGE_SCALE = 400_000;

/** When the seeded studio was made; a fixed moment, so that the same seed gives the same data. */
export const BORN = Date.UTC(2026, 0, 5, 9);

/** Fills an empty site with a believable studio of about `scale` entities. The same seed gives the same studio. */
export function seedStudio(
  data: SiteData,
  scale: number,
  random: Random,
  history: SeededHistory | null = null,
): void {
  let made = 0;
  // Of a very large studio the log keeps about five million entries.
  const told = scale > LARGE_SCALE ? 4 : Number.POSITIVE_INFINITY;
  const script = { type: 'ApiUser', id: 1 };
  const add = (type: string, values: Readonly<Record<string, Json>>): { type: string; id: number } => {
    const ref = { type, id: data.allocateId(type) };
    if (!data.schema.has(type)) return ref;
    const known = Object.entries(values).filter(([name]) => data.field(type, name) !== undefined);
    const at = `${new Date(BORN + made * 1_000).toISOString().slice(0, 19)}Z`;
    made += 1;
    const standard: [string, Json][] = [
      ['created_at', at],
      ['created_by', script],
      ['updated_at', at],
      ['updated_by', script],
    ];
    const had = standard.filter(([name]) => data.field(type, name) !== undefined);
    const entity = data.add(type, ref.id, [...had, ...known]);
    if (history !== null) tellHistory(data, history, entity, told);
    return ref;
  };
  const some = (refs: readonly Json[], most: number): Json => [
    ...new Set(Array.from({ length: pickNumber(random, most + 1) }, () => pick(random, refs))),
  ];
  const text = (): string => `${pick(random, WORDS)} ${pick(random, WORDS)}`;
  const day = (): string => new Date(BORN + pickNumber(random, 300) * 86_400_000).toISOString().slice(0, 10);

  const ruleSets = new Map(
    RULE_SET_CODES.map((code) => [code, add('PermissionRuleSet', { code, display_name: code })]),
  );
  const rules = (code: string): Json => ruleSets.get(code) ?? null;
  for (const [name, script] of Object.entries(SCRIPTS)) {
    add('ApiUser', {
      firstname: name,
      lastname: '1.0',
      generate_event_log_entries: script.logs,
      permission_rule_set: rules(script.rules),
    });
  }
  const departments = ['Animation', 'Lighting', 'Compositing'].map((name) =>
    add('Department', { name, code: name.slice(0, 4) }),
  );
  const people = Array.from({ length: Math.max(6, Math.min(200, Math.round(scale / 100))) }, (_, index) => {
    const firstname = pick(random, FIRST);
    return add('HumanUser', {
      firstname,
      lastname: `${pick(random, LAST)} ${index}`,
      login: index === 0 ? 'admin' : `user${index}`,
      email: `user${index}@studio.example`,
      sg_status_list: 'act',
      department: pick(random, departments),
      permission_rule_set: rules(PEOPLES_RULES[index] ?? 'artist'),
    });
  });
  const groups = ['Leads', 'Artists'].map((code) => add('Group', { code, users: some(people, 5) }));
  for (const code of STATUSES) add('Status', { code, name: code.toUpperCase(), bg_color: '120,130,140' });
  const tags = ['night', 'stereo', 'Retake'].map((name) => add('Tag', { name }));
  const steps = STEPS.map((code, index) =>
    add('Step', {
      code,
      short_name: code.slice(0, 3),
      entity_type: index < 5 ? 'Shot' : 'Asset',
      color: '50,100,150',
      list_order: index,
    }),
  );
  const fileTypes = ['Maya Scene', 'Image Sequence', 'Alembic'].map((code) =>
    add('PublishedFileType', { code, short_name: code.slice(0, 4) }),
  );
  const storage = add('LocalStorage', {
    code: 'primary',
    linux_path: '/mnt/projects',
    mac_path: '/Volumes/projects',
    windows_path: 'P:\\projects',
  });
  const template = add('TaskTemplate', { code: 'Shot default', entity_type: 'Shot' });
  for (const step of steps.slice(0, 2))
    add('Task', { content: 'template', step, sg_status_list: 'wtg', task_template: template });

  const makeTask = (project: Json, entity: Json, index: number): Json =>
    add('Task', {
      content: pick(random, STEPS),
      project,
      entity,
      step: pick(random, steps),
      sg_status_list: pick(random, STATUSES),
      task_assignees: some([...people, ...groups], 3),
      start_date: day(),
      due_date: random() < 0.2 ? null : day(),
      duration: random() < 0.2 ? null : 60 * pickNumber(random, 80),
      milestone: random() < 0.1,
      sg_priority_1: random() < 0.5 ? null : pick(random, ['Low', 'Medium', 'High']),
      sg_sort_order: index,
    });
  const projects: Json[] = [];
  for (let show = 0; made < scale || show === 0; show += 1) {
    const project = add('Project', {
      name: `${pick(random, SHOWS)} ${show + 1}`,
      code: `prj${show + 1}`,
      archived: show % 7 === 6,
      sg_status: 'Active',
      users: some(people, 6),
      tank_name: `prj${show + 1}`,
      start_date: day(),
    });
    projects.push(project);
    const assets = Array.from({ length: 10 }, (_, index) =>
      add('Asset', {
        code: `${pick(random, WORDS)}_${index}`,
        project,
        sg_asset_type: pick(random, ASSET_TYPES),
        sg_status_list: pick(random, STATUSES),
        description: random() < 0.3 ? null : text(),
        tags: some(tags, 2),
      }),
    );
    const episode = add('Episode', { code: `ep${show + 1}`, project, sg_status_list: 'ip' });
    const shows = Math.max(scale - made, 0) > 1_000 ? 20 : 4;
    for (let s = 0; s < shows && (made < scale || s === 0); s += 1) {
      const sequence = add('Sequence', {
        code: `sq_${s + 1}0`,
        project,
        episode,
        sg_status_list: 'ip',
        assets: some(assets, 3),
      });
      const shotRefs: Json[] = [];
      const dailies: Json[] = [];
      for (let n = 0; n < 10; n += 1) {
        const shot = add('Shot', {
          code: `${n % 3 === 0 ? 'SH' : 'sh'}_${s + 1}0_${n + 1}0`,
          project,
          sg_sequence: random() < 0.1 ? null : sequence,
          description: random() < 0.3 ? null : text(),
          sg_status_list: pick(random, STATUSES),
          sg_shot_type: random() < 0.4 ? null : pick(random, ['Full CG', 'VFX', 'Plate']),
          sg_cut_in: 1001,
          sg_cut_out: 1001 + pickNumber(random, 200),
          sg_cut_order: random() < 0.1 ? null : n,
          sg_complexity: random() < 0.3 ? null : Math.round(random() * 1000) / 100,
          sg_completion: pickNumber(random, 101),
          sg_turnover_date: random() < 0.3 ? null : day(),
          assets: some(assets, 4),
          shots: shotRefs.length > 0 ? some(shotRefs, 1) : [],
          tags: some(tags, 1),
        });
        shotRefs.push(shot);
        const tasks = Array.from({ length: 3 }, (_, index) => makeTask(project, shot, index));
        const versions = Array.from({ length: 2 }, (_, index) =>
          add('Version', {
            code: `${s + 1}0_${n + 1}0_v00${index + 1}`,
            project,
            entity: shot,
            sg_task: pick(random, tasks),
            user: pick(random, people),
            description: random() < 0.5 ? null : text(),
            sg_status_list: pick(random, ['na', 'rev', 'vwd', 'apr']),
            sg_first_frame: 1001,
            sg_last_frame: 1001 + pickNumber(random, 200),
            frame_count: pickNumber(random, 200),
            client_approved: random() < 0.2,
          }),
        );
        dailies.push(...versions.slice(0, 1));
        if (random() < 0.4) {
          add('Note', {
            subject: text(),
            content: text(),
            project,
            note_links: [shot, versions[0] ?? shot],
            user: pick(random, people),
            sg_status_list: 'opn',
            addressings_to: some(people, 2),
          });
        }
        if (random() < 0.4) {
          add('PublishedFile', {
            code: `scene_${n}.ma`,
            name: 'scene',
            project,
            entity: shot,
            task: tasks[0] ?? null,
            version: versions[0] ?? null,
            version_number: n,
            published_file_type: pick(random, fileTypes),
            path_cache: `prj/${n}/scene.ma`,
            path_cache_storage: storage,
            sg_status_list: 'wtg',
          });
        }
        if (random() < 0.2)
          add('TimeLog', {
            project,
            entity: tasks[0] ?? null,
            user: pick(random, people),
            date: day(),
            duration: 30 * pickNumber(random, 16),
          });
      }
      add('Playlist', {
        code: `Dailies ${s + 1}`,
        project,
        versions: dailies.slice(0, DAILIES),
        locked: random() < 0.5,
        sg_date_and_time: null,
      });
    }
  }
  for (const { name, connection } of data.schema.values()) {
    if (connection === null) continue;
    for (const owner of [...data.all(connection.type)]) {
      const list = owner.stored(connection.field);
      for (const target of Array.isArray(list) ? list : [])
        add(name, { [connection.from]: { type: owner.type, id: owner.id }, [connection.to]: target });
    }
  }
  // Last and without a throw of the dice: a studio of the same seed stays what it was but for them.
  for (const type of ['Shot', 'Asset', 'Version']) {
    const page = { page_type: 'default', entity_type: type, ui_category: 'entity', shared: true };
    add('Page', { ...page, name: `All ${type}s`, project: null });
    for (const project of projects)
      add('Page', { ...page, name: `${type}s`, folder: 'Project pages', project });
  }
}

/** Fields that the event log says nothing of (protocol §6.4). */
const UNTOLD: ReadonlySet<string> = new Set(['updated_at', 'updated_by']);

/** Tells how an entity came to be: a New, and a Change for each field. */
function tellHistory(data: SiteData, history: SeededHistory, entity: StoredEntity, told: number): void {
  history.add(entity, null, null, null);
  let count = 0;
  for (const [name, value] of entity.entries()) {
    if (count >= told) return;
    const field = UNTOLD.has(name) ? undefined : data.field(entity.type, name);
    if (field === undefined) continue;
    history.add(entity, name, field.dataType, value);
    count += 1;
  }
}
