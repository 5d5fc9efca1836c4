import { readFile } from 'node:fs/promises';
import pg from 'pg';

/** Milliseconds in one tick of the kernel's accounting on every Linux that Node runs on. */
const TICK_MS = 10;

/** Processor time that a process has used so far, milliseconds; 0 for one that has ended. */
export async function processCpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the command in brackets, which may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS;
}

/** Processor time of a server and of the PostgreSQL processes that work for it: true on a busy machine, too. */
export interface CpuMeter {
  /** Milliseconds used since the last call. */
  used(): Promise<{ readonly serverMs: number; readonly databaseMs: number }>;
  close(): Promise<void>;
}

/** Watches a server process and every backend of its database. */
export async function cpuMeter(serverPid: number, databaseUrl: string): Promise<CpuMeter> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'bench-meter' });
  await client.connect();
  const known = new Map<number, number>();
  const delta = async (pid: number): Promise<number> => {
    const now = await processCpuMs(pid);
    const before = known.get(pid) ?? 0;
    known.set(pid, now);
    return now - before;
  };
  const read = async (): Promise<{ serverMs: number; databaseMs: number }> => {
    const { rows } = await client.query<{ pid: number }>(
      'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    let databaseMs = 0;
    for (const { pid } of rows) databaseMs += await delta(pid);
    return { serverMs: await delta(serverPid), databaseMs };
  };
  await read();
  return { used: read, close: () => client.end() };
}
