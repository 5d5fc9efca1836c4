import { parseArgs } from 'node:util';
import { startStack } from '@understudy/harness/stack';
import { until } from '@understudy/harness/until';
import Table from 'cli-table3';
import pg from 'pg';

/**
 * How long a change made on the site takes to be seen through the reader, while the sandbox site plays live
 * traffic. Every sample changes a Shot directly on the site, each time another one, and asks the reader until it answers
 * the new value (one that was changed within the second before would be fetched, to be sure); then the replica tells when
 * the change's event was stored, when its value was merged, and whether the row had to be fetched.
 * The targets: median at most half a poll and 0.15 s, p99 at most one poll and 0.5 s.
 */
const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '200' },
    traffic: { type: 'string', default: '20' },
    poll: { type: 'string', default: '1000' },
    queue: { type: 'string', default: 'postgres' },
  },
});
const sampleCount = Number(values.samples);
const pollMs = Number(values.poll);
if (values.queue !== 'postgres' && values.queue !== 'redis') throw new Error('--queue is postgres or redis');

/** On a busy machine what is late is a figure, not a failure. */
const PATIENCE_MS = 120_000;

/** The share of samples at or below the value that is given back. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** One change, and when what happened to it, milliseconds after the site had made it. */
interface Sample {
  readonly stored: number;
  readonly merged: number;
  readonly seen: number;
  /** Whether its value came with a fetch of the row and not with the event. */
  readonly fetched: boolean;
}

function readOf(
  filter: { path: string; relation: string; values: unknown[] },
  fields: string[],
  limit = 1,
): unknown {
  return {
    type: 'Shot',
    return_fields: fields,
    filters: { logical_operator: 'and', conditions: [filter] },
    return_only: 'active',
    paging: { entities_per_page: limit, current_page: 1 },
  };
}

const stack = await startStack({
  queue: values.queue,
  env: { UNDERSTUDY_SANDBOX_TRAFFIC: values.traffic, UNDERSTUDY_POLLER_INTERVAL_MS: String(pollMs) },
});
const database = new pg.Client({ connectionString: stack.databaseUrl });
try {
  await database.connect();
  const samples: Sample[] = [];
  for (let sample = 0; sample < sampleCount; sample++) {
    const description = `seen ${sample} ${process.pid}`;
    // Spread over the poll's phase: what is measured must not be in step with it.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * pollMs));
    // Asked anew for each: the traffic retires some.
    const shots = (await stack.call(
      stack.siteUrl,
      'read',
      readOf({ path: 'id', relation: 'greater_than', values: [0] }, ['code'], 500),
    )) as { entities: { id: number }[] };
    const id = shots.entities[sample % shots.entities.length]?.id;
    if (id === undefined) throw new Error('the sandbox site has no Shot');
    await stack.call(stack.siteUrl, 'update', {
      type: 'Shot',
      id,
      fields: [{ field_name: 'description', value: description }],
    });
    const start = performance.now();
    const startedAt = performance.timeOrigin + start;
    await until(
      'the change is seen',
      async () => {
        const reply = (await stack.call(
          stack.readerUrl,
          'read',
          readOf({ path: 'id', relation: 'is', values: [id] }, ['description']),
        )) as { entities: { description: string }[] };
        return reply.entities[0]?.description === description;
      },
      { everyMs: 5, timeoutMs: PATIENCE_MS },
    );
    const seen = performance.now() - start;
    const { rows } = await database.query<{ stored: Date | null; merged: Date; source: string }>(
      `select u.at as merged, u.source, (select e.stored_at from understudy.event_log e
         where e.entry #>> '{meta,new_value}' = $2 order by e.id desc limit 1) as stored
       from understudy.data_update_field u where u.entity_type = 'Shot' and u.entity_id = $1 and u.field = 'description'
         and u.new = to_jsonb($2::text) order by u.seq limit 1`,
      [id, description],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the data-update log does not tell of the change');
    samples.push({
      // A fetch for another reason may bring the value before its event is heard.
      stored: (row.stored ?? row.merged).getTime() - startedAt,
      merged: row.merged.getTime() - startedAt,
      seen,
      fetched: row.source !== 'event',
    });
  }
  const sorted = (value: (sample: Sample) => number): readonly number[] =>
    samples.map(value).sort((a, b) => a - b);
  const latencies = sorted((sample) => sample.seen);
  const table = new Table({ head: ['', 'ms', 'target ms', 'ratio'] });
  const row = (name: string, measured: number, target?: number): void => {
    table.push([
      name,
      measured.toFixed(0),
      target?.toFixed(0) ?? '',
      target ? (measured / target).toFixed(2) : '',
    ]);
  };
  row('median', percentile(latencies, 0.5), pollMs / 2 + 150);
  row('p90', percentile(latencies, 0.9));
  row('p99', percentile(latencies, 0.99), pollMs + 500);
  row('worst', percentile(latencies, 1));
  const parts = [
    ['until its event is stored', sorted((sample) => sample.stored)],
    ['until it is merged', sorted((sample) => sample.merged - sample.stored)],
    ['until it is seen', sorted((sample) => sample.seen - sample.merged)],
  ] as const;
  for (const [name, values] of parts) {
    row(`${name}, median`, percentile(values, 0.5));
    row(`${name}, p90`, percentile(values, 0.9));
  }
  console.log(
    `${sampleCount} changes, ${values.traffic} writes a second beside them, poll ${pollMs} ms, queue ${values.queue}`,
  );
  console.log(table.toString());
  console.log(
    `${samples.filter((sample) => sample.fetched).length} of them were fetched, the others set by their event`,
  );
} finally {
  await database.end();
  await stack.stop();
}
