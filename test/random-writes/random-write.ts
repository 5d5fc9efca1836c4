import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { EntityRef, Json } from '@understudy/domain/entity';
import { pick, pickNumber, type Random } from '@understudy/sandbox-site/random';
import type { SandboxField } from '@understudy/sandbox-site/sandbox-schema';
import type { Sandbox } from '@understudy/sandbox-site/sandbox-site';

/** A write as a caller of the JSON API makes it. */
export interface RandomWrite {
  readonly method: 'create' | 'update' | 'delete' | 'revive' | 'batch';
  readonly payload: object;
}

/** Of these nothing is written: they are no entities like others, or hold the permissions of who writes. */
const UNWRITTEN_TYPES: ReadonlySet<string> = new Set(['EventLogEntry', 'DisplayColumn', 'PermissionRuleSet']);
const UNWRITTEN_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'created_at',
  'created_by',
  'password',
  'salted_password',
  'permission_rule_set',
]);
/** The scripts that write and read here. */
const OWN_SCRIPTS = 8;
const LINK_TO_RETIRED = 0.1;
const BATCH_SHARE = 0.15;
const BATCH_MAX = 5;

/** Random writes to a sandbox site, made of what is there at the moment. Some are refused. */
export class RandomWrites {
  readonly #sandbox: Sandbox;
  readonly #random: Random;
  readonly #types: readonly string[];
  /** Makes each value another. */
  #made = 0;

  constructor(sandbox: Sandbox, random: Random) {
    this.#sandbox = sandbox;
    this.#random = random;
    this.#types = [...sandbox.data.schema.keys()].filter((type) => !UNWRITTEN_TYPES.has(type));
  }

  next(): RandomWrite {
    if (this.#random() >= BATCH_SHARE) return this.#one();
    const parts = Array.from({ length: 2 + pickNumber(this.#random, BATCH_MAX - 1) }, () => this.#one());
    return {
      method: 'batch',
      payload: parts
        .filter(({ method }) => method !== 'revive')
        .map(({ method, payload }) => ({ request_type: method, ...payload })),
    };
  }

  #one(): RandomWrite {
    const random = this.#random;
    const method = pick(random, [
      'create',
      'update',
      'update',
      'update',
      'update',
      'delete',
      'revive',
    ] as const);
    const type = pick(random, this.#types);
    // Rows of connection types come and go with the links that they stand for.
    const isConnection = this.#sandbox.data.schema.get(type)?.connection != null;
    if (isConnection && (method === 'create' || method === 'revive')) return this.#one();
    if (method === 'create')
      return { method, payload: { type, fields: this.#fields(type, 4, false), return_fields: ['id'] } };
    const entity = this.#entity(type, method === 'revive');
    const isCaller = type === 'ApiUser' || (type === 'HumanUser' && entity?.id === 1);
    if (entity === null || (method === 'delete' && isCaller)) return this.#one();
    if (method !== 'update') return { method, payload: entity };
    return { method, payload: { ...entity, fields: this.#fields(type, 3, true) } };
  }

  #entity(type: string, retired: boolean): EntityRef | null {
    const ids = [...this.#sandbox.data.all(type)]
      .filter((entity) => entity.retired === retired && !(type === 'ApiUser' && entity.id < OWN_SCRIPTS))
      .map(({ id }) => id);
    return ids.length === 0 ? null : { type, id: pick(this.#random, ids) };
  }

  #target(types: readonly string[]): EntityRef | null {
    const type = pick(this.#random, types.length > 0 ? types : this.#types);
    if (!this.#sandbox.data.schema.has(type)) return null;
    const retired = this.#random() < LINK_TO_RETIRED ? this.#entity(type, true) : null;
    return retired ?? this.#entity(type, false);
  }

  #fields(type: string, many: number, isUpdate: boolean): readonly object[] {
    const { data } = this.#sandbox;
    const random = this.#random;
    const connection = data.schema.get(type)?.connection ?? null;
    const ends = connection === null ? [] : [connection.from, connection.to];
    const writable = [...(data.schema.get(type)?.fields.values() ?? [])].filter(
      ({ name, readOnly }) =>
        !readOnly &&
        !UNWRITTEN_FIELDS.has(name) &&
        !name.includes('current_user') &&
        !(type === 'ApiUser' && ['sg_status_list', 'firstname'].includes(name)) &&
        !(isUpdate && ends.includes(name)),
    );
    const told = new Map<string, object>();
    for (let left = writable.length === 0 ? 0 : many; left > 0; left -= 1) {
      const field = pick(random, writable);
      const value = this.#value(field, isUpdate);
      if (value === undefined) continue;
      const isList = DATA_TYPES[field.dataType].storage === 'links';
      const mode = pick(random, ['set', 'add', 'remove'] as const);
      told.set(field.name, {
        field_name: field.name,
        value,
        ...(isList && isUpdate ? { multi_entity_update_mode: mode } : {}),
      });
    }
    if (!isUpdate && data.field(type, 'project') !== undefined && !told.has('project'))
      told.set('project', { field_name: 'project', value: this.#entity('Project', false) as Json });
    return [...told.values()];
  }

  /** A value that a field takes; undefined for those that nothing is written into. */
  #value(field: SandboxField, isUpdate: boolean): unknown {
    const random = this.#random;
    const { storage } = DATA_TYPES[field.dataType];
    if (storage === 'link') return random() < 0.2 ? null : this.#target(field.validTypes);
    if (storage === 'links')
      return Array.from({ length: pickNumber(random, 3) }, () => this.#target(field.validTypes)).filter(
        (target) => target !== null,
      );
    if (field.dataType === 'image') return isUpdate ? null : undefined;
    if (random() < 0.1 && field.dataType !== 'checkbox') return null;
    this.#made += 1;
    const made = this.#made;
    const day = `2026-0${1 + (made % 9)}-11`;
    switch (field.dataType) {
      case 'text':
        return `t ${made}`;
      case 'checkbox':
        return random() < 0.5;
      case 'number':
      case 'percent':
      case 'duration':
      case 'timecode':
        return made;
      case 'float':
      case 'currency':
        return made + 0.5;
      case 'date':
        return day;
      case 'date_time':
        return `${day}T0${made % 9}:00:00Z`;
      case 'list':
      case 'status_list':
        return field.validValues.length === 0 ? 'x' : pick(random, field.validValues);
      case 'color':
        return `${made % 255},1,2`;
      case 'entity_type':
        return 'Shot';
      case 'url':
        return { url: `http://studio.example.com/${made}`, name: `n${made}` };
      case 'serializable':
        return { made };
      default:
        return undefined;
    }
  }
}
