import { parseArgs } from 'node:util';
import pg from 'pg';
import { cpuMeter } from './cpu.ts';
import type { LoadJob, LoadResult } from './load/load-generator.ts';
import { startLoadGenerator, startTalking } from './load/processes.ts';
import { print } from './report.ts';
import { openStudios } from './rig.ts';
import { median } from './statistics.ts';
import { MEASURED_READS } from './studio/reads.ts';
import { studioOf } from './studio/studio.ts';
import { warm } from './warm.ts';

/**
 * The same read asked again and again by many clients while 20 writes a second hit other rows of its table, in both
 * databases: what pipeline tools do all day. The reader may keep the answer, but never give one that is stale.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1.5' },
    clients: { type: 'string', default: '32' },
    reads: { type: 'string', default: 'q1,q2,q3,q4' },
    writes: { type: 'string', default: '20' },
  },
});
const AUTH = { script_name: 'pipeline', script_key: 'pipeline-key' };
const WARM_UP_MS = 300;
const clients = Number(values.clients);
const studio = studioOf(1);
/** Rows that no measured read asks for. */
const OTHER_ROWS = 500;

const studios = await openStudios(1);
const reader = await studios.startReader();
const bare = await studios.startBare();
const load = await startLoadGenerator();
const floor = await startTalking<{ readonly url: string }>('servers/floor.ts', []);
const readerCpu = await cpuMeter(reader.pid, studios.replicaUrl);
const bareCpu = await cpuMeter(bare.pid, studios.plainUrl);
const floorCpu = await cpuMeter(floor.child.pid ?? 0, studios.plainUrl);
const replica = new pg.Pool({ connectionString: studios.replicaUrl, max: 1 });
const plain = new pg.Pool({ connectionString: studios.plainUrl, max: 1 });

/** Changes a Task that nobody asks for, as often as told, until the function it gives is called. */
function write(): () => void {
  let number = 0;
  const timer = setInterval(() => {
    number += 1;
    const id = studio.tasks - (number % OTHER_ROWS);
    const sql = `update site.task set sg_status_list = 'w${number}' where id = ${id}`;
    for (const client of [replica, plain]) client.query(sql).catch((error: unknown) => console.error(error));
  }, 1_000 / Number(values.writes));
  return () => clearInterval(timer);
}

async function measure(job: Omit<LoadJob, 'warmUpMs' | 'measureMs'>): Promise<LoadResult> {
  await load.run({ ...job, warmUpMs: 0, measureMs: WARM_UP_MS });
  return load.run({ ...job, warmUpMs: 0, measureMs: Number(values.seconds) * 1_000 });
}

const stopWriting = write();
try {
  const rows: (string | number)[][] = [];
  for (const read of MEASURED_READS.filter(({ name }) => values.reads.split(',').includes(name))) {
    const body = JSON.stringify({
      method_name: 'read',
      params: [AUTH, read.payload(read.ranges(studio).map(() => 1))],
    });
    const ask = { method: 'POST' as const, path: '/api3/json', body };
    const askBare = { method: 'GET' as const, path: `/${read.name}/same`, body: null };
    const answer = await fetch(`${reader.url}${ask.path}`, { method: ask.method, body });
    const askFloor = { ...ask, path: `/${(await answer.arrayBuffer()).byteLength}` };
    const pairs: { readonly bare: LoadResult; readonly reader: LoadResult; readonly floor: LoadResult }[] =
      [];
    const cpuUs: number[] = [];
    await warm(load, bareCpu, { url: bare.url, requests: [askBare], clients });
    await warm(load, readerCpu, { url: reader.url, requests: [ask], clients });
    await warm(load, floorCpu, { url: floor.first.url, requests: [askFloor], clients });
    for (let round = 0; round < Number(values.rounds); round += 1) {
      const ofBare = await measure({ url: bare.url, requests: [askBare], clients });
      await readerCpu.used();
      const ofReader = await measure({ url: reader.url, requests: [ask], clients });
      const { serverMs } = await readerCpu.used();
      cpuUs.push((serverMs * 1_000) / ofReader.count);
      const ofFloor = await measure({ url: floor.first.url, requests: [askFloor], clients });
      pairs.push({ bare: ofBare, reader: ofReader, floor: ofFloor });
    }
    const middle = (of: (pair: (typeof pairs)[number]) => number): number => median(pairs.map(of));
    rows.push([
      read.name,
      middle((pair) => pair.bare.perSecond).toFixed(0),
      middle((pair) => pair.reader.perSecond).toFixed(0),
      middle((pair) => pair.reader.perSecond / pair.bare.perSecond).toFixed(2),
      '≥ 3',
      middle((pair) => pair.floor.perSecond / pair.bare.perSecond).toFixed(2),
      middle((pair) => pair.bare.p99Ms).toFixed(2),
      middle((pair) => pair.reader.p99Ms).toFixed(2),
      median(cpuUs).toFixed(0),
    ]);
  }
  print({
    title: `one read asked by ${clients} clients, ${values.writes} writes a second beside it`,
    head: [
      'read',
      'bare /s',
      'reader /s',
      'ratio',
      'target',
      'floor',
      'bare p99 ms',
      'reader p99 ms',
      'reader cpu µs',
    ],
    rows,
    notes: [
      'floor: the same request and as many bytes back by a server of Node that does nothing else, to the bare server',
      `reader: ${((await reader.residentBytes()) / 1e6).toFixed(0)} MB resident`,
    ],
  });
} finally {
  stopWriting();
  await Promise.all([readerCpu.close(), bareCpu.close(), floorCpu.close()]);
  await Promise.all([replica.end(), plain.end()]);
  await load.stop();
  await floor.stop();
  await bare.stop();
  await reader.stop();
  await studios.stop();
}
