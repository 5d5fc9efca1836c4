import pg from 'pg';
import { startLoadGenerator } from './load/processes.ts';
import { openStudios } from './rig.ts';
import { MEASURED_READS } from './studio/reads.ts';
import { studioOf } from './studio/studio.ts';

const [name = 'q1', kept = 'hot', clients = '32', secs = '6'] = process.argv.slice(2);
const AUTH = { script_name: 'pipeline', script_key: 'pipeline-key' };
const studio = studioOf(1);
const studios = await openStudios(1);
const reader = await studios.startReader(kept === 'hot' ? {} : { UNDERSTUDY_READER_ANSWERS_BYTES: '0' }, [
  '--max-semi-space-size=4',
  '--max-old-space-size=1024',
  '--cpu-prof',
  '--cpu-prof-interval=500',
  '--cpu-prof-dir=/tmp/reads/prof',
]);
const load = await startLoadGenerator();
const replica = new pg.Pool({ connectionString: studios.replicaUrl, max: 1 });
let n = 0;
const timer =
  kept === 'hot'
    ? setInterval(() => {
        n += 1;
        replica
          .query(`update site.task set sg_status_list = 'w${n}' where id = ${studio.tasks - (n % 500)}`)
          .catch(console.error);
      }, 50)
    : undefined;
const read = MEASURED_READS.find((r) => r.name === name)!;
const values = () =>
  read.ranges(studio).map((most: number) => (kept === 'hot' ? 1 : 1 + Math.floor(Math.random() * most)));
const requests = Array.from({ length: kept === 'hot' ? 1 : 5000 }, () => ({
  method: 'POST' as const,
  path: '/api3/json',
  body: JSON.stringify({ method_name: 'read', params: [AUTH, read.payload(values())] }),
}));
const r = await load.run({
  url: reader.url,
  requests,
  clients: Number(clients),
  warmUpMs: 1000,
  measureMs: Number(secs) * 1000,
});
console.log(name, kept, r.perSecond);
clearInterval(timer);
await load.stop();
await replica.end();
await reader.stop();
await studios.stop();
