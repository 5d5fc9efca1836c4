import type { EntityRef, Json } from '@understudy/domain/entity';
import { type Caller, callerAs, type Site } from '../caller.ts';
import type { Entity } from '../entity-table.ts';
import { batch, write } from '../methods/write.ts';
import { pick, pickNumber, type Random } from '../random.ts';
import { SandboxFault } from '../site-fault.ts';
import { type FieldItem, randomChange, ref, someOf } from './random-change.ts';

/** What one write is made by. */
interface Play {
  readonly site: Site;
  readonly caller: Caller;
  readonly random: Random;
}

/** @returns whether there was something to do it with. */
type Act = (play: Play) => boolean;

const TYPES = [
  'Shot',
  'Shot',
  'Task',
  'Task',
  'Task',
  'Version',
  'Version',
  'Asset',
  'Note',
  'Sequence',
  'Playlist',
  'HumanUser',
];
const MADE_TYPES = TYPES.filter((type) => type !== 'HumanUser');
const PEOPLE_TRIED_MAX = 20;

const item = (field_name: string, value: Json, mode?: string): FieldItem => ({
  field_name,
  value,
  ...(mode === undefined ? {} : { multi_entity_update_mode: mode }),
});

function typeOf({ site, random }: Play, among: readonly string[]): string {
  return pick(
    random,
    among.filter((name) => site.data.schema.has(name)),
  );
}

/** Those of the fields that the site has. */
function known({ site }: Play, type: string, items: readonly FieldItem[]): readonly FieldItem[] {
  return items.filter(({ field_name: name }) => site.data.field(type, name)?.readOnly === false);
}

function update(play: Play, entity: Entity | undefined, items: readonly FieldItem[]): boolean {
  if (entity === undefined) return false;
  const fields = known(play, entity.type, items);
  if (fields.length === 0) return false;
  write(play.site, play.caller, 'update', { type: entity.type, id: entity.id, fields });
  return true;
}

function create(play: Play, type: string, items: readonly FieldItem[]): boolean {
  if (!play.site.data.schema.has(type)) return false;
  write(play.site, play.caller, 'create', { type, fields: known(play, type, items) });
  return true;
}

const projectOf = (entity: Entity): FieldItem => item('project', entity.stored('project'));
const title = ({ random }: Play, word: string): string => `${word} ${pickNumber(random, 100_000)}`;

const changeStatus: Act = (play) => {
  const entity = someOf(
    play.site,
    typeOf(play, ['Shot', 'Task', 'Task', 'Version', 'Asset', 'Note']),
    play.random,
  );
  const values =
    entity === undefined ? [] : (play.site.data.field(entity.type, 'sg_status_list')?.validValues ?? []);
  return values.length > 0 && update(play, entity, [item('sg_status_list', pick(play.random, values))]);
};

/** An artist submits: a Version of the Task and what it is for, and the Task moves on. */
const submitVersion: Act = (play) => {
  const task = someOf(play.site, 'Task', play.random);
  if (task === undefined) return false;
  return create(play, 'Version', [
    item('code', title(play, 'v')),
    projectOf(task),
    item('entity', task.stored('entity')),
    item('sg_task', ref(task)),
    item('user', play.caller.actor.user as unknown as Json),
    item('description', play.random() < 0.5 ? null : title(play, 'fixed %_é <')),
  ]);
};

const writeNote: Act = (play) => {
  const version = someOf(play.site, 'Version', play.random);
  const reader = someOf(play.site, 'HumanUser', play.random);
  if (version === undefined || reader === undefined) return false;
  const links = [version.stored('entity'), ref(version)].filter((link) => link !== null);
  return create(play, 'Note', [
    item('subject', title(play, 'Note')),
    item('content', title(play, 'please look at')),
    projectOf(version),
    item('note_links', links),
    item('addressings_to', [ref(reader)]),
    item('user', play.caller.actor.user as unknown as Json),
  ]);
};

const reply: Act = (play) => {
  const note = someOf(play.site, 'Note', play.random);
  if (note === undefined) return false;
  const user = play.caller.actor.user as unknown as Json;
  return create(play, 'Reply', [
    item('content', title(play, 'done')),
    item('entity', ref(note)),
    item('user', user),
  ]);
};

const assign: Act = (play) => {
  const person = someOf(play.site, pick(play.random, ['HumanUser', 'HumanUser', 'Group']), play.random);
  if (person === undefined) return false;
  const mode = pick(play.random, ['set', 'add', 'add', 'remove']);
  return update(play, someOf(play.site, 'Task', play.random), [item('task_assignees', [ref(person)], mode)]);
};

const editLinks: Act = (play) => {
  const [type, field, target] = pick(play.random, [
    ['Shot', 'assets', 'Asset'],
    ['Shot', 'tags', 'Tag'],
    ['Playlist', 'versions', 'Version'],
    ['Sequence', 'shots', 'Shot'],
    ['Task', 'upstream_tasks', 'Task'],
    ['Asset', 'parents', 'Asset'],
  ] as const);
  const targets = [someOf(play.site, target, play.random), someOf(play.site, target, play.random)];
  const links = targets.flatMap((entity) => (entity === undefined ? [] : [ref(entity)]));
  const mode = pick(play.random, ['set', 'add', 'add', 'remove']);
  return update(play, someOf(play.site, type, play.random), [item(field, links, mode)]);
};

const rename: Act = (play) => {
  const entity = someOf(play.site, typeOf(play, TYPES), play.random);
  if (entity === undefined) return false;
  const field = entity.type === 'HumanUser' ? 'lastname' : play.site.data.schema.get(entity.type)?.identifier;
  return update(play, entity, [item(field ?? 'code', title(play, entity.type))]);
};

const move: Act = (play) => {
  const sequence = someOf(play.site, 'Sequence', play.random);
  const value = sequence === undefined || play.random() < 0.1 ? null : ref(sequence);
  return update(play, someOf(play.site, 'Shot', play.random), [item('sg_sequence', value)]);
};

const retire: Act = (play) => {
  const entity = someOf(play.site, typeOf(play, MADE_TYPES), play.random);
  if (entity === undefined) return false;
  write(play.site, play.caller, 'delete', { type: entity.type, id: entity.id });
  return true;
};

const revive: Act = (play) => {
  const entity = someOf(play.site, typeOf(play, MADE_TYPES), play.random, true);
  if (entity === undefined) return false;
  write(play.site, play.caller, 'revive', { type: entity.type, id: entity.id });
  return true;
};

const changeAnything: Act = (play) => {
  const type = typeOf(play, TYPES);
  return update(play, someOf(play.site, type, play.random), [randomChange(play.site, type, play.random)]);
};

const makeAnything: Act = (play) => {
  const type = typeOf(play, MADE_TYPES);
  const project = someOf(play.site, 'Project', play.random);
  const items = new Map<string, FieldItem>();
  if (project !== undefined) items.set('project', item('project', ref(project)));
  for (let count = 0; count < 5; count += 1) {
    const changed = randomChange(play.site, type, play.random);
    if (!items.has(changed.field_name)) items.set(changed.field_name, changed);
  }
  return create(play, type, [...items.values()]);
};

const changeMany: Act = (play) => {
  const type = typeOf(play, TYPES);
  const requests = Array.from({ length: 2 + pickNumber(play.random, 4) }, () => {
    const entity = someOf(play.site, type, play.random);
    const fields = [randomChange(play.site, type, play.random)];
    return entity === undefined ? [] : [{ request_type: 'update', type, id: entity.id, fields }];
  });
  batch(play.site, play.caller, requests.flat());
  return requests.flat().length > 0;
};

/** What happens at a studio, and how often of a hundred. */
const MIX: readonly (readonly [percent: number, act: Act])[] = [
  [24, changeStatus],
  [9, submitVersion],
  [6, writeNote],
  [4, reply],
  [10, assign],
  [9, editLinks],
  [5, rename],
  [3, move],
  [4, retire],
  [3, revive],
  [12, changeAnything],
  [5, makeAnything],
  [6, changeMany],
];
const MIX_TOTAL = MIX.reduce((total, [percent]) => total + percent, 0);

function pickAct(random: Random): Act {
  let left = random() * MIX_TOTAL;
  for (const [percent, act] of MIX) {
    left -= percent;
    if (left < 0) return act;
  }
  return changeAnything;
}

/** Somebody of the studio who may do all of it. */
function somebody(site: Site, random: Random): EntityRef {
  for (let attempt = 0; attempt < PEOPLE_TRIED_MAX; attempt += 1) {
    const person = someOf(site, 'HumanUser', random);
    if (person !== undefined && callerAs(site, person).rules.deletes) return person;
  }
  const first = site.data.find({ type: 'HumanUser', id: 1 });
  return first !== undefined && !first.retired ? first : { type: 'ApiUser', id: 1 };
}

/**
 * Plays one believable write of a studio at work, through the same calls as the API.
 * @param by who does it; one of the studio's people unless told.
 */
export function playOne(site: Site, random: Random, by: EntityRef = somebody(site, random)): void {
  const caller = callerAs(site, by);
  const play = { site, caller, random };
  try {
    if (!pickAct(random)(play)) changeAnything(play);
  } catch (error) {
    // The studio's tools are refused now and then as well: a link retired meanwhile, a name taken.
    if (!(error instanceof SandboxFault)) throw error;
  }
}
