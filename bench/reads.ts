import { parseArgs } from 'node:util';
import { type CpuMeter, cpuMeter } from './cpu.ts';
import type { LoadJob, LoadResult } from './load/load-generator.ts';
import { startLoadGenerator } from './load/processes.ts';
import { print } from './report.ts';
import { openStudios } from './rig.ts';
import { median } from './statistics.ts';
import { MEASURED_READS, type MeasuredRead } from './studio/reads.ts';
import { type Studio, studioOf } from './studio/studio.ts';
import { warm } from './warm.ts';

/**
 * The four reads through the reader, with every check on, beside the bare server over plain tables: interleaved rounds,
 * and of each pair the ratio.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1.5' },
    clients: { type: 'string', default: '1,8,32' },
    reads: { type: 'string', default: 'q1,q2,q3,q4' },
    times: { type: 'string', default: '1' },
    kept: { type: 'boolean', default: false },
  },
});
const AUTH = { script_name: 'pipeline', script_key: 'pipeline-key' };
/** Different requests of one read; more than are sent in a round, so that nothing is asked twice on purpose. */
const REQUESTS = 5_000;
const WARM_UP_MS = 300;
const COMPILE_CLIENTS = 32;

function requestsOf(read: MeasuredRead, studio: Studio): LoadJob['requests'] {
  return Array.from({ length: REQUESTS }, () => {
    const values = read.ranges(studio).map((most) => 1 + Math.floor(Math.random() * most));
    const body = JSON.stringify({ method_name: 'read', params: [AUTH, read.payload(values)] });
    return { method: 'POST' as const, path: '/api3/json', body };
  });
}

const times = Number(values.times);
const studio = studioOf(times);
const wanted = values.reads.split(',');
const measured = MEASURED_READS.filter((read) => wanted.includes(read.name));
const studios = await openStudios(times);
// Unless told otherwise every answer is made anew: what is measured is making it, not remembering it.
const reader = await studios.startReader(values.kept ? {} : { UNDERSTUDY_READER_ANSWERS_BYTES: '0' });
const bare = await studios.startBare();
const load = await startLoadGenerator();
const bareCpu = await cpuMeter(bare.pid, studios.plainUrl);
const readerCpu = await cpuMeter(reader.pid, studios.replicaUrl);

/** One side of a pair: what came through, and what it cost. */
interface Side extends LoadResult {
  readonly serverUs: number;
  readonly databaseUs: number;
}

async function measure(job: Omit<LoadJob, 'warmUpMs' | 'measureMs'>, cpu: CpuMeter): Promise<Side> {
  // Connections are made, statements prepared, code compiled.
  await load.run({ ...job, warmUpMs: 0, measureMs: WARM_UP_MS });
  await cpu.used();
  const result = await load.run({ ...job, warmUpMs: 0, measureMs: Number(values.seconds) * 1_000 });
  const { serverMs, databaseMs } = await cpu.used();
  return {
    ...result,
    serverUs: (serverMs * 1_000) / result.count,
    databaseUs: (databaseMs * 1_000) / result.count,
  };
}

try {
  const rows: (string | number)[][] = [];
  for (const read of measured) {
    const readerRequests = requestsOf(read, studio);
    const bareRequests = [{ method: 'GET' as const, path: `/${read.name}`, body: null }];
    await warm(load, bareCpu, { url: bare.url, requests: bareRequests, clients: COMPILE_CLIENTS });
    await warm(load, readerCpu, { url: reader.url, requests: readerRequests, clients: COMPILE_CLIENTS });
    for (const clients of values.clients.split(',').map(Number)) {
      const pairs: { readonly bare: Side; readonly reader: Side }[] = [];
      for (let round = 0; round < Number(values.rounds); round += 1) {
        const ofBare = await measure({ url: bare.url, requests: bareRequests, clients }, bareCpu);
        const ofReader = await measure({ url: reader.url, requests: readerRequests, clients }, readerCpu);
        pairs.push({ bare: ofBare, reader: ofReader });
      }
      const middle = (of: (pair: (typeof pairs)[number]) => number): number => median(pairs.map(of));
      const cpu = (side: 'bare' | 'reader'): string =>
        `${middle((pair) => pair[side].serverUs).toFixed(0)} + ${middle((pair) => pair[side].databaseUs).toFixed(0)}`;
      rows.push([
        read.name,
        clients,
        middle((pair) => pair.bare.perSecond).toFixed(0),
        middle((pair) => pair.reader.perSecond).toFixed(0),
        middle((pair) => pair.reader.perSecond / pair.bare.perSecond).toFixed(2),
        read.name === 'q3' ? '≥ 1.5' : '≥ 0.9',
        middle((pair) => pair.bare.p99Ms).toFixed(2),
        middle((pair) => pair.reader.p99Ms).toFixed(2),
        middle((pair) => pair.reader.p99Ms / pair.bare.p99Ms).toFixed(2),
        '≤ 1.3',
        cpu('bare'),
        cpu('reader'),
      ]);
    }
  }
  print({
    title: `the four reads, ${studio.shots} Shots, ${studio.tasks} Tasks, ${studio.versions} Versions`,
    head: [
      'read',
      'clients',
      'bare /s',
      'reader /s',
      'ratio',
      'target',
      'bare p99 ms',
      'reader p99 ms',
      'ratio',
      'target',
      'bare cpu µs',
      'reader cpu µs',
    ],
    rows,
    notes: [
      ...measured.map((read) => `${read.name}: ${read.what}`),
      'cpu µs: processor time of a request in the server + in PostgreSQL',
      `reader: ${((await reader.residentBytes()) / 1e6).toFixed(0)} MB resident`,
    ],
  });
} finally {
  await Promise.all([bareCpu.close(), readerCpu.close()]);
  await load.stop();
  await bare.stop();
  await reader.stop();
  await studios.stop();
}
