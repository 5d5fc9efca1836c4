import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { commandOf, isAlive } from '../process-tree.ts';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';

/** Collation as the site sorts: by language, the same on every machine. */
const INITDB_FLAGS = [
  '--encoding=UTF8',
  '--locale=C',
  '--locale-provider=icu',
  '--icu-locale=en-US',
  '--auth=scram-sha-256',
];
/** The major version that the packaged programs are of. */
const MAJOR = '18';
const STOP_TIMEOUT_MS = 60_000;

/**
 * Makes PostgreSQL's data in `folder`/data, unless it is there. It is made under another name and renamed when it is
 * whole: a start that was cut short leaves nothing that looks like data.
 * @throws Error with what initdb said, or when the data is of another major version.
 */
export async function ensureData(options: {
  readonly folder: string;
  readonly binaries: Binaries;
  readonly account: Account | null;
  readonly user: string;
  readonly password: string;
  /** Whether data may be lost when the machine stops. */
  readonly throwAway: boolean;
}): Promise<string> {
  const { folder, binaries, account, user, password } = options;
  const data = join(folder, 'data');
  if (existsSync(data)) {
    const version = existsSync(join(data, 'PG_VERSION'))
      ? readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
      : 'nothing';
    if (version === MAJOR) return data;
    throw new Error(
      `${data} was made by PostgreSQL ${version}, this is PostgreSQL ${MAJOR}: move it away, or begin anew with --reset`,
    );
  }
  await mkdir(folder, { recursive: true });
  if (account !== null) {
    await chmod(folder, 0o755);
    await chown(folder, account.uid, account.gid);
  }
  const unfinished = join(folder, 'data.new');
  await rm(unfinished, { recursive: true, force: true });
  const passwordFile = join(folder, 'password.new');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (account !== null) await chown(passwordFile, account.uid, account.gid);
  try {
    const flags = options.throwAway ? [...INITDB_FLAGS, '--no-sync'] : INITDB_FLAGS;
    await run(
      binaries.initdb,
      [`--pgdata=${unfinished}`, `--username=${user}`, `--pwfile=${passwordFile}`, ...flags],
      folder,
      account,
    );
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(unfinished, data);
  return data;
}

async function run(
  file: string,
  args: readonly string[],
  cwd: string,
  account: Account | null,
): Promise<void> {
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], ...account });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${file} failed (${code}): ${said.trim()}`);
}

/**
 * Frees data that a PostgreSQL holds whose keeper was killed: a server that still runs on it is stopped; a lock file
 * whose number belongs to another program by now is removed.
 */
export async function freeData(data: string): Promise<void> {
  const lock = join(data, 'postmaster.pid');
  if (!existsSync(lock)) return;
  const pid = Number((await readFile(lock, 'utf8')).split('\n', 1)[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return;
  if (!commandOf(pid).includes(data)) {
    await rm(lock, { force: true });
    return;
  }
  process.kill(pid, 'SIGINT');
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (isAlive(pid)) {
    if (performance.now() > deadline) {
      throw new Error(`PostgreSQL of an earlier start (process ${pid}) does not end`);
    }
    await delay(50);
  }
}
