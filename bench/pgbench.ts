import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { print } from './report.ts';
import { openStudios } from './rig.ts';
import { MEASURED_READS } from './studio/reads.ts';
import { studioOf } from './studio/studio.ts';

/** The plain SQL of the four reads in pgbench: what PostgreSQL alone gives, without any server in front of it. */
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '3' }, clients: { type: 'string', default: '8' } },
});
const pgbench = ['/usr/bin/pgbench', ...globSync('/usr/lib/postgresql/*/bin/pgbench')].find((path) =>
  existsSync(path),
);
if (pgbench === undefined) {
  console.log('pgbench is not on this machine (Debian: postgresql-client); its part is left out\n');
  process.exit(0);
}
const studios = await openStudios(1);
const folder = await mkdtemp(join(tmpdir(), 'understudy-pgbench-'));
try {
  const rows: (string | number)[][] = [];
  for (const read of MEASURED_READS) {
    const ranges = read.ranges(studioOf(1));
    const draws = ranges.map((most, index) => `\\set p${index + 1} random(1, ${most})\n`).join('');
    const file = join(folder, `${read.name}.sql`);
    // pgbench takes a statement to its semicolon, and variables by name.
    const sql = read.sql.replaceAll(/\s+/g, ' ').replaceAll(/\$(\d)/g, ':p$1');
    await writeFile(file, `${draws}${sql};\n`);
    const { stdout, stderr, status } = spawnSync(
      pgbench,
      [
        '-n',
        '-M',
        'prepared',
        '-c',
        values.clients,
        '-j',
        '1',
        '-T',
        values.seconds,
        '-f',
        file,
        studios.plainUrl,
      ],
      { encoding: 'utf8' },
    );
    const perSecond = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
    if (status !== 0 || Number.isNaN(perSecond)) throw new Error(`pgbench: ${stderr}`);
    rows.push([read.name, read.what, perSecond.toFixed(0)]);
  }
  print({ title: `plain SQL in pgbench, ${values.clients} clients`, head: ['read', 'what', '/s'], rows });
} finally {
  await rm(folder, { recursive: true });
  await studios.stop();
}
