import type { SystemStatus } from './system-status.ts';

/** From good to bad. */
export const LEVELS = ['ok', 'busy', 'warning', 'problem'] as const;
export type Level = (typeof LEVELS)[number];

export interface Note {
  readonly level: Level;
  readonly text: string;
}

/** The state of the whole in one line, and everything that somebody may want to do something about. */
export interface Headline extends Note {
  readonly notes: readonly Note[];
}

/** A process that gave no sign of life for this long is gone, or hangs; they give one every two seconds. */
export const SILENT_MS = 10_000;
const NEEDED_SERVICES = ['event-poller', 'applier', 'scanner', 'retirement-reprocessor', 'api-reader'];

const TITLES: Readonly<Record<Level, string>> = {
  ok: 'The replica is up to date',
  busy: 'Working',
  warning: 'Running, with something to look at',
  problem: 'Something is wrong',
};

/** `3 events are`, `1 event is`. */
function countOf(n: number, noun: string): string {
  return n === 1 ? `1 ${noun} is` : `${n} ${noun}s are`;
}

function partNotes({ database, queue }: SystemStatus): readonly Note[] {
  const notes: Note[] = [];
  if (database.state === 'away')
    notes.push({
      level: 'problem',
      text: `PostgreSQL is away (${database.reason}). Readers pass requests through to the site.`,
    });
  if (database.state === 'unprepared')
    notes.push({
      level: 'busy',
      text: 'The replica’s tables are not made yet: no service has prepared them.',
    });
  const server = queue.backend === 'redis' ? 'Redis' : 'PostgreSQL';
  if (queue.state === 'away')
    notes.push({
      level: 'problem',
      text: `The queue in ${server} is away (${queue.reason}). Jobs are made again once it is back.`,
    });
  return notes;
}

function serviceNotes(services: NonNullable<SystemStatus['report']>['services']): readonly Note[] {
  const alive = new Set(services.flatMap((one) => (one.silentMs < SILENT_MS ? [one.service] : [])));
  const paused = new Set(
    services.flatMap((one) => (one.state === 'paused' && one.silentMs < SILENT_MS ? [one.service] : [])),
  );
  return [
    ...NEEDED_SERVICES.flatMap((service): readonly Note[] =>
      alive.has(service) ? [] : [{ level: 'problem', text: `No ${service} runs.` }],
    ),
    ...[...paused].map(
      (service): Note => ({
        level: 'warning',
        text: `${service} is paused: understudy ctl ${service} resume ends it.`,
      }),
    ),
  ];
}

function replicaNotes(report: NonNullable<SystemStatus['report']>, maxLagMs: number): readonly Note[] {
  const { watermark, events, refreshes, scans } = report;
  const notes: Note[] = [];
  if (watermark === null) notes.push({ level: 'busy', text: 'The site’s event log is not followed yet.' });
  const lagMs = watermark?.lagMs ?? null;
  if (watermark !== null && lagMs === null)
    notes.push({
      level: 'busy',
      text: 'The site’s event log was not polled yet. Readers pass requests through.',
    });
  if (lagMs !== null && lagMs > maxLagMs)
    notes.push({
      level: 'problem',
      text: `The replica is ${Math.round(lagMs / 1_000)} s behind the site. Readers pass requests through.`,
    });
  const open = scans.filter((scan) => scan.kind === 'full' && scan.chunksDone < scan.chunks);
  if (open.length > 0) {
    const ids = new Set(open.map((scan) => scan.id));
    const all = scans.filter((scan) => ids.has(scan.id));
    const done = all.reduce((sum, scan) => sum + scan.chunksDone, 0);
    const chunks = all.reduce((sum, scan) => sum + scan.chunks, 0);
    notes.push({ level: 'busy', text: `A full scan is under way: ${Math.floor((100 * done) / chunks)} %.` });
  }
  if (events.parked > 0)
    notes.push({
      level: 'warning',
      text: `${countOf(events.parked, 'event')} parked, because applying failed.`,
    });
  if (refreshes.failing > 0)
    notes.push({ level: 'warning', text: `${countOf(refreshes.failing, 'refresh request')} failing.` });
  return notes;
}

/** Named in one line; the rest is counted. */
const NAMED_CHANGES = 3;

function schemaNotes(generation: SystemStatus['generation']): readonly Note[] {
  const changes = generation?.siteChanges ?? [];
  if (changes.length === 0) return [];
  const named = changes.slice(0, NAMED_CHANGES).join('; ');
  const rest = changes.length > NAMED_CHANGES ? ` and ${changes.length - NAMED_CHANGES} more` : '';
  return [
    {
      level: 'warning',
      text: `The site’s schema has changed: ${named}${rest}. What changed passes through until a schema is applied.`,
    },
  ];
}

/**
 * Says how it goes.
 * @param maxLagMs staleness above which readers pass through.
 */
export function headlineOf(status: SystemStatus, maxLagMs: number): Headline {
  const { report } = status;
  const failed = (status.queues ?? []).filter((counts) => counts.failed > 0);
  const notes: readonly Note[] = [
    ...partNotes(status),
    ...(report === null ? [] : [...serviceNotes(report.services), ...replicaNotes(report, maxLagMs)]),
    ...schemaNotes(status.generation),
    ...failed.map(
      (counts): Note => ({
        level: 'warning',
        text: `${countOf(counts.failed, 'job')} failed for good in queue ${counts.queue}.`,
      }),
    ),
  ];
  const byLevel = (level: Level): readonly Note[] => notes.filter((note) => note.level === level);
  const sorted = [...LEVELS].reverse().flatMap(byLevel);
  const level = sorted[0]?.level ?? 'ok';
  return { level, text: TITLES[level], notes: sorted };
}
