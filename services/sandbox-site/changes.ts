import { type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import type { Caller, Site } from './caller.ts';
import type { StoredEntity } from './entity-table.ts';
import type { Actor, EventDraft, EventLog } from './event-log.ts';
import { wireTime } from './event-log.ts';
import type { LoggedEvent } from './event-table.ts';
import type { SiteData } from './site-data.ts';

/**
 * What one write call does to the site's data, with the events that tell of it; `rollback` takes all of it back (but not
 * the event ids it used), `commit` shows the events.
 */
export class Changes {
  readonly data: SiteData;
  readonly actor: Actor;
  /** When the call began: the time of everything that it does. */
  readonly now = wireTime(new Date());
  readonly #log: EventLog;
  readonly #silent: boolean;
  readonly #undo: (() => void)[] = [];
  readonly #drafts: { id: number; draft: EventDraft }[] = [];
  readonly #entries: LoggedEvent[] = [];

  constructor(site: Site, caller: Caller) {
    this.data = site.data;
    this.#log = site.log;
    this.actor = caller.actor;
    this.#silent = !caller.isLogged || site.log.isSilent();
  }

  commit(): void {
    this.#log.commit(this.actor, this.#drafts);
    for (const entry of this.#entries) this.#log.show(entry);
  }

  rollback(): void {
    for (const undo of this.#undo.reverse()) undo();
  }

  /** Says how something that was just done is taken back. */
  onRollback(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Sets what is stored, without an event. */
  store(entity: StoredEntity, name: string, value: Json): void {
    const before = entity.stored(name);
    this.data.set(entity, name, value);
    this.#undo.push(() => this.data.set(entity, name, before));
  }

  /** Notes when an entity was changed and by whom, which makes no event (protocol §6.4). */
  touch(entity: StoredEntity): void {
    if (this.data.field(entity.type, 'updated_at') === undefined) return;
    this.store(entity, 'updated_at', this.now);
    this.store(entity, 'updated_by', { type: this.actor.user.type, id: this.actor.user.id });
  }

  /** Tells of a change. @returns the event's id; null where none is made. */
  event(
    action: EventDraft['action'],
    entity: StoredEntity,
    attribute: string | null,
    meta: Readonly<Record<string, Json>>,
    subject: string = entity.type,
  ): number | null {
    if (this.#silent) return null;
    const id = this.#log.allocate();
    const project = entity.type === 'Project' ? entity : entity.stored('project');
    const name = this.data.displayName(entity) ?? String(entity.id);
    this.#drafts.push({
      id,
      draft: {
        action,
        subject,
        entity: { type: entity.type, id: entity.id },
        attribute,
        project: isEntityRef(project) ? { type: project.type, id: project.id } : null,
        meta,
        description: `${action} ${attribute ?? ''} on ${entity.type} ${name}`.replace('  ', ' '),
      },
    });
    return id;
  }

  /** Adds an entry to the log that tells of no change. @returns its id. */
  addLogEntry(event: Omit<LoggedEvent, 'id'>): number {
    const id = this.#log.allocate();
    this.#entries.push({ ...event, id });
    return id;
  }

  /** A value as events show it: links with their names. */
  shown(value: Json): Json {
    if (!isEntityRef(value)) return value;
    const target = this.data.find(value);
    return {
      type: value.type,
      id: value.id,
      name: target === undefined ? null : this.data.displayName(target),
      valid: 'valid',
    };
  }

  /** Links as events show them. */
  allShown(refs: readonly EntityRef[]): Json[] {
    return refs.map((ref) => this.shown(ref as unknown as Json));
  }
}
