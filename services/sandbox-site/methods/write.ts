import type { Json } from '@understudy/domain/entity';
import type { Caller, Site } from '../caller.ts';
import type { StoredEntity } from '../entity-table.ts';
import { rowOf } from '../rows.ts';
import { badData, badRequest, SandboxFault } from '../site-fault.ts';
import { type UpdateMode, WriteTransaction } from '../write-transaction.ts';
import { createLogEntry } from './custom-event.ts';
import { type TypedPayload, typedPayload } from './read.ts';

type Payload = TypedPayload;

interface FieldItem {
  readonly field_name: string;
  readonly value: Json;
  readonly multi_entity_update_mode?: UpdateMode;
}

function fieldItems(method: string, payload: Payload): readonly FieldItem[] {
  const items = payload['fields'] ?? [];
  const fits = (item: unknown): boolean =>
    typeof (item as { field_name?: unknown } | null)?.field_name === 'string' && 'value' in (item as object);
  if (!Array.isArray(items) || !items.every(fits))
    throw badRequest(`API ${method}() invalid/missing array 'fields'`);
  return items as unknown as FieldItem[];
}

function existing(site: Site, caller: Caller, method: string, payload: Payload): StoredEntity {
  const id = payload['id'];
  if (!Number.isSafeInteger(id))
    throw badRequest(`API ${method}() invalid/missing integer 'id':\n${JSON.stringify(payload)}`);
  const entity = site.data.stored({ type: payload.type, id: id as number });
  if (entity === undefined || !caller.view(method).sees(entity)) {
    throw badData(
      `API ${method}() CRUD ERROR #3: Entity of type [${payload.type}] with id=${String(id)} does not exist.`,
    );
  }
  return entity;
}

/** Types that live in a project and cannot be made without one (protocol §5.1). */
const NEEDS_PROJECT: ReadonlySet<string> = new Set([
  'Shot',
  'Asset',
  'Sequence',
  'Version',
  'Task',
  'Note',
  'Playlist',
]);

/** @throws SandboxFault 104 for what the caller's permission rule set forbids (protocol §5.3). */
function assertAllowed(caller: Caller, method: string, payload: Payload): void {
  const { type } = payload;
  const { writes, deletes, code } = caller.rules;
  if (type === 'EventLogEntry' && method !== 'create') {
    throw badData(`API ${method}() EventLogEntry is read only.`);
  }
  const isAllowed = writes === 'all' || (writes === 'notes' && (type === 'Note' || type === 'Reply'));
  if (method === 'delete' && (!deletes || !isAllowed)) {
    throw badData(
      `API delete() CRUD ERROR #4.1: Entity of type [${type}] with id=${String(payload['id'])} can not be deleted by this user. Rule: ${code}`,
    );
  }
  if (!isAllowed) {
    throw badData(`API ${method}() CRUD ERROR #4: ${type} can not be ${method}d by this user. Rule: ${code}`);
  }
}

/** Does one request of a write in a transaction that somebody else commits. @returns what the reply holds. */
function perform(
  site: Site,
  caller: Caller,
  transaction: WriteTransaction,
  method: string,
  raw: unknown,
): () => Json {
  const view = caller.view(method);
  const payload = typedPayload(view, raw);
  assertAllowed(caller, method, payload);
  if (method === 'create') {
    const items = fieldItems(method, payload);
    const values = new Map(items.map((item) => [item.field_name, item.value]));
    const asked = (
      Array.isArray(payload['return_fields']) ? (payload['return_fields'] as unknown[]) : []
    ).filter((field) => typeof field === 'string');
    if (payload.type === 'EventLogEntry') return createLogEntry(site, caller, transaction, values, asked);
    if (
      NEEDS_PROJECT.has(payload.type) &&
      !values.has('project') &&
      site.data.field(payload.type, 'project')
    ) {
      throw badRequest(`API create() missing 'project' attribute: ${JSON.stringify(payload)}`);
    }
    const entity = transaction.create(payload.type, values);
    const fields = [...values.keys(), ...asked];
    return () => rowOf(view, entity, fields);
  }
  const entity = existing(site, caller, method, payload);
  if (method === 'delete') {
    const changed = transaction.retire(entity);
    return () => changed;
  }
  if (method === 'revive') {
    const changed = transaction.revive(entity);
    return () => changed;
  }
  const items = fieldItems(method, payload);
  if (entity.retired) {
    throw badData(
      `API update() CRUD ERROR #3: Entity of type [${payload.type}] with id=${entity.id} does not exist.`,
    );
  }
  for (const item of items) {
    const mode = item.multi_entity_update_mode ?? 'set';
    if (!['set', 'add', 'remove'].includes(mode))
      throw badRequest(`API update() invalid 'multi_entity_update_mode': ${mode}`);
    transaction.setField(entity, item.field_name, item.value, mode);
  }
  return () =>
    rowOf(
      view,
      entity,
      items.map((item) => item.field_name),
    );
}

/** create, update, delete, revive (protocol §5.1–5.3). */
export function write(site: Site, caller: Caller, method: string, payload: unknown): Json {
  const transaction = new WriteTransaction(site, caller);
  try {
    const reply = perform(site, caller, transaction, method, payload);
    transaction.commit();
    return reply();
  } catch (error) {
    transaction.rollback();
    throw error;
  }
}

/** batch: all or nothing (protocol §5.4). */
export function batch(site: Site, caller: Caller, payload: unknown): Json {
  if (!Array.isArray(payload)) throw badRequest('API batch() expects an array of requests');
  const transaction = new WriteTransaction(site, caller);
  const replies: (() => Json)[] = [];
  for (const [index, request] of payload.entries()) {
    const method = (request as { request_type?: unknown } | null)?.request_type;
    try {
      if (method !== 'create' && method !== 'update' && method !== 'delete') {
        throw badRequest(`API batch() invalid 'request_type': ${String(method)}`);
      }
      replies.push(perform(site, caller, transaction, method, request));
    } catch (error) {
      transaction.rollback();
      if (!(error instanceof SandboxFault)) throw error;
      throw new SandboxFault(
        error.code,
        `API batch() request with index ${index} failed.  All requests rolled back.\n${error.message}`,
      );
    }
  }
  transaction.commit();
  return replies.map((reply) => reply());
}
