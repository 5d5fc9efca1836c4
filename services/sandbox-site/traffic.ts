import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { Json } from '@understudy/domain/entity';
import { type Caller, callerAs, type Site } from './caller.ts';
import type { Entity } from './entity-table.ts';
import { batch, write } from './methods/write.ts';
import { pick, pickNumber, type Random } from './random.ts';
import { SandboxFault } from './site-fault.ts';

/** What artists and tools change, and how often. */
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

/** Plays one believable write of a studio at work, through the same calls as the API. */
export function playOne(site: Site, random: Random): void {
  const people = alive(site, 'HumanUser').filter((person) => callerAs(site, person).rules.deletes);
  const user = people.length > 0 ? pick(random, people) : { type: 'ApiUser', id: 1 };
  const caller = callerAs(site, user);
  const type = pick(
    random,
    TYPES.filter((name) => site.data.schema.has(name)),
  );
  const entities = alive(site, type);
  const dice = random();
  try {
    if (entities.length === 0 || (dice < 0.12 && type !== 'HumanUser')) create(site, caller, type, random);
    else if (dice < 0.17 && entities.length > 5 && type !== 'HumanUser') {
      write(site, caller, 'delete', { type, id: pick(random, entities).id });
    } else if (dice < 0.22) revive(site, caller, type, random);
    else if (dice < 0.3) {
      const requests = Array.from({ length: 3 }, () => ({
        request_type: 'update',
        type,
        id: pick(random, entities).id,
        fields: [change(site, type, random)],
      }));
      batch(site, caller, requests);
    } else
      write(site, caller, 'update', {
        type,
        id: pick(random, entities).id,
        fields: [change(site, type, random)],
      });
  } catch (error) {
    // The studio's tools are refused now and then as well: a link retired meanwhile, a name taken.
    if (!(error instanceof SandboxFault)) throw error;
  }
}

function alive(site: Site, type: string): Entity[] {
  return [...site.data.all(type)].filter((entity) => !entity.retired);
}

function create(site: Site, caller: Caller, type: string, random: Random): void {
  const fields: { field_name: string; value: Json }[] = [];
  const projects = alive(site, 'Project');
  if (site.data.field(type, 'project') !== undefined && projects.length > 0) {
    fields.push({ field_name: 'project', value: ref(pick(random, projects)) });
  }
  const names = new Set(['project']);
  for (let n = 0; n < 5; n += 1) {
    const item = change(site, type, random);
    if (!names.has(item.field_name)) fields.push(item);
    names.add(item.field_name);
  }
  write(site, caller, 'create', { type, fields });
}

function revive(site: Site, caller: Caller, type: string, random: Random): void {
  const retired = [...site.data.all(type)].filter((entity) => entity.retired);
  if (retired.length > 0) write(site, caller, 'revive', { type, id: pick(random, retired).id });
}

const ref = (entity: Entity): Json => ({ type: entity.type, id: entity.id });

/** A new value for some writable field of the type. */
function change(
  site: Site,
  type: string,
  random: Random,
): { field_name: string; value: Json; multi_entity_update_mode?: string } {
  const fields = [...(site.data.schema.get(type)?.fields.values() ?? [])].filter(
    (field) =>
      !field.readOnly &&
      !field.unique &&
      !['created_at', 'created_by', 'project'].includes(field.name) &&
      DATA_TYPES[field.dataType].storage !== 'none',
  );
  const field = pick(random, fields);
  const { name } = field;
  const target = (): Json => {
    const candidates = alive(site, pick(random, field.validTypes.length > 0 ? field.validTypes : ['Shot']));
    return candidates.length > 0 ? ref(pick(random, candidates)) : null;
  };
  switch (DATA_TYPES[field.dataType].storage) {
    case 'links': {
      const value = Array.from({ length: 1 + pickNumber(random, 2) }, target).filter((item) => item !== null);
      return {
        field_name: name,
        value,
        multi_entity_update_mode: pick(random, ['set', 'add', 'add', 'remove']),
      };
    }
    case 'link':
      return { field_name: name, value: random() < 0.15 ? null : target() };
    case 'boolean':
      return { field_name: name, value: random() < 0.5 };
    case 'integer':
      return { field_name: name, value: random() < 0.1 ? null : pickNumber(random, 1_000) };
    case 'double':
    case 'numeric':
      return { field_name: name, value: random() < 0.1 ? null : pickNumber(random, 10_000) / 100 };
    case 'date':
      return {
        field_name: name,
        value: random() < 0.1 ? null : `2026-0${1 + pickNumber(random, 9)}-1${pickNumber(random, 10)}`,
      };
    case 'timestamptz':
      return {
        field_name: name,
        value: `2026-0${1 + pickNumber(random, 9)}-1${pickNumber(random, 10)}T08:00:00Z`,
      };
    case 'jsonb':
      return { field_name: name, value: { n: pickNumber(random, 100), list: [1, 'zwei', null] } };
    case 'uuid':
      return { field_name: name, value: null };
    default: {
      if (field.validValues.length > 0) return { field_name: name, value: pick(random, field.validValues) };
      if (field.dataType === 'color') return { field_name: name, value: `${pickNumber(random, 256)},0,9` };
      return {
        field_name: name,
        value: random() < 0.1 ? null : `${type} ${pickNumber(random, 100_000)} %_é`,
      };
    }
  }
}
