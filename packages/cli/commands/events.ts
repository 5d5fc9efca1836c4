import { setTimeout as delay } from 'node:timers/promises';
import { type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import type { Queryable } from '@understudy/store/database';
import { retryParked } from '@understudy/store/event-log';
import {
  type EventSearch,
  eventsFrom,
  eventsStoredAfter,
  type FoundEvent,
  lastEventTick,
  newestEvents,
} from '@understudy/store/find-events';
import { InvalidArgumentError } from 'commander';
import { countArgument } from '../arguments.ts';
import type { CommandParts } from '../command-line.ts';
import { CommandFailure, EXIT_USAGE } from '../failure.ts';
import { printJson, printJsonLine, printLine } from '../output.ts';
import { countText } from '../text.ts';
import type { RegisterCommand } from './all.ts';

interface EventsOptions {
  readonly from?: number;
  readonly limit?: number;
  readonly type?: string;
  readonly entity?: EntityRef;
  readonly parked?: true;
  readonly follow?: true;
  readonly retryParked?: true;
}

const NEWEST = 20;
const PAGE = 500;
const LOOK_MS = 300;
const VALUE_LENGTH_MAX = 60;

/** `understudy events`: the stored event log. */
export const registerEvents: RegisterCommand = (program, line) => {
  program
    .command('events')
    .description('show the site’s events as they were stored, with what became of them')
    .option('--from <id>', 'begin with this event id; otherwise the newest are shown', countArgument(0))
    .option('--limit <count>', `how many; ${NEWEST} unless told, all from --from on`, countArgument(1))
    .option('--type <type>', 'only events of this type; * stands for anything: Shotgun_Shot_*')
    .option('--entity <Type:id>', 'only events about this entity: Shot:862', entityArgument)
    .option('--parked', 'only events that could not be applied, with the reason')
    .option('--follow', 'go on with those that come, in the order they came, until Ctrl-C')
    .option('--retry-parked', 'have every parked event applied again')
    .addHelpText(
      'after',
      `
A line is: id, time on the site, state (stored: not applied yet, applied, parked), event type, entity, what changed,
who did it. "late" marks an event whose id filled a gap. With --json every event is one line of JSON.

Examples:
  understudy events --follow
  understudy events --from 90210 --type 'Shotgun_Version_*' --json
  understudy events --entity Shot:862 --limit 5
  understudy events --parked`,
    )
    .action((options: EventsOptions) =>
      line.run(['database'], async (parts) => {
        const { pool } = await parts.database();
        if (options.retryParked === true) return retry(parts, pool, options);
        await show(parts, pool, options);
      }),
    );
};

function entityArgument(text: string): EntityRef {
  const [, type, id] = /^([A-Za-z]\w*):([1-9]\d{0,14})$/.exec(text) ?? [];
  if (type === undefined || id === undefined) throw new InvalidArgumentError('an entity like Shot:862');
  return { type, id: Number(id) };
}

async function retry(parts: CommandParts, pool: Queryable, options: EventsOptions): Promise<void> {
  const others = [options.from, options.type, options.entity, options.follow].some(
    (one) => one !== undefined,
  );
  if (others)
    throw new CommandFailure('--retry-parked stands alone: it is about every parked event', EXIT_USAGE);
  const count = await retryParked(pool);
  if (parts.json) printJson({ retried: count });
  else printLine(`${countText(count, 'event')} will be applied again.`);
}

async function show(parts: CommandParts, pool: Queryable, options: EventsOptions): Promise<void> {
  const search = {
    ...(options.type === undefined ? {} : { eventType: options.type }),
    ...(options.entity === undefined ? {} : { entity: options.entity }),
    ...(options.parked === true ? { state: 'parked' as const } : {}),
  };
  let tick = options.follow === true ? await lastEventTick(pool) : 0;
  /** Ids of those that were stored since, and shown already. */
  const shownSince = new Set<number>();
  const print = (event: FoundEvent): void => {
    if (parts.json) printJsonLine(jsonOf(event));
    else printLine(lineOf(event));
    if (options.follow === true && event.tick > tick) shownSince.add(event.entry.id);
  };
  if (options.from === undefined) {
    for (const event of await newestEvents(pool, { ...search, limit: options.limit ?? NEWEST })) print(event);
  } else await showFrom(parts, pool, options.from, options.limit ?? Number.POSITIVE_INFINITY, search, print);
  while (options.follow === true && !parts.signal.aborted) {
    const stored = await lastEventTick(pool);
    const events = await eventsStoredAfter(pool, tick, { ...search, limit: PAGE });
    for (const event of events) {
      tick = event.tick;
      if (!shownSince.delete(event.entry.id)) print(event);
    }
    if (events.length === PAGE) continue;
    // What is not searched for is not gone through again.
    tick = Math.max(tick, stored);
    await delay(LOOK_MS, undefined, { signal: parts.signal }).catch((error: unknown) => {
      if (!parts.signal.aborted) throw error;
    });
  }
}

/** Page by page, however many there are. */
async function showFrom(
  { signal }: CommandParts,
  pool: Queryable,
  from: number,
  limit: number,
  search: Omit<EventSearch, 'limit'>,
  print: (event: FoundEvent) => void,
): Promise<void> {
  let left = limit;
  for (let next = from; left > 0 && !signal.aborted; ) {
    const events = await eventsFrom(pool, next, { ...search, limit: Math.min(PAGE, left) });
    for (const event of events) print(event);
    const last = events.at(-1);
    if (last === undefined) return;
    left -= events.length;
    next = last.entry.id + 1;
  }
}

function jsonOf({ entry, state, late, error, storedAt, tick }: FoundEvent): object {
  return { ...entry, replica: { state, late, error, stored_at: storedAt, tick } };
}

function lineOf({ entry, state, late, error }: FoundEvent): string {
  const meta = metaOf(entry.meta);
  const { entity } = entry;
  const about =
    entity !== null
      ? `${entity.type}:${entity.id}`
      : typeof meta['entity_type'] === 'string'
        ? `${meta['entity_type']}:${String(meta['entity_id'])}`
        : '-';
  const by = isEntityRef(entry.user) ? `by ${entry.user.name ?? `${entry.user.type}:${entry.user.id}`}` : '';
  const parts = [
    String(entry.id).padEnd(10),
    entry.created_at,
    (late ? `${state},late` : state).padEnd(12),
    entry.event_type.padEnd(28),
    about.padEnd(16),
    changeOf(entry.attribute_name, meta),
    by,
    error === null ? '' : `[${error}]`,
  ];
  return parts.filter((part) => part !== '').join('  ');
}

function metaOf(meta: Json): Readonly<Record<string, Json>> {
  return typeof meta === 'object' && meta !== null && !Array.isArray(meta)
    ? (meta as Readonly<Record<string, Json>>)
    : {};
}

function changeOf(attribute: string | null, meta: Readonly<Record<string, Json>>): string {
  if (attribute === null) return '';
  const parts = [attribute];
  if ('new_value' in meta)
    parts.push(`${shown(meta['old_value'] ?? null)} → ${shown(meta['new_value'] ?? null)}`);
  if (Array.isArray(meta['added']) && meta['added'].length > 0) parts.push(`+ ${shown(meta['added'])}`);
  if (Array.isArray(meta['removed']) && meta['removed'].length > 0) parts.push(`- ${shown(meta['removed'])}`);
  return parts.join(' ');
}

/** A value in few characters: a link by its name. */
function shown(value: Json): string {
  if (Array.isArray(value)) return value.map(shown).join(', ');
  if (isEntityRef(value)) {
    const { name } = value as { name?: unknown };
    return typeof name === 'string' ? name : `${value.type}:${value.id}`;
  }
  const text = JSON.stringify(value);
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}
