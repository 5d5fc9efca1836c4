import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '@understudy/deploy/bundle';

/** Why tests that need Redis are skipped, or false: for the option `skip` of a test. */
export const NO_REDIS: string | false =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'no redis-server was found (Debian: apt-get install redis-server)';

/** Folder of the programs as they are deployed, made once a run of tests. Without it they run from the sources. */
export const PROGRAMS_VARIABLE = 'TEST_PROGRAMS';

/**
 * The words that start a service or the command with this Node.
 * @param folder its place from the root: `services/applier`.
 * @param deployed folder of the programs as they are deployed; undefined: it runs from the sources.
 */
export function program(
  folder: string,
  deployed: string | undefined = process.env[PROGRAMS_VARIABLE],
): readonly [string, ...string[]] {
  if (deployed === undefined) return [process.execPath, `${folder}/main.ts`];
  // Compiled code is kept beside them and goes with them.
  const cache = `NODE_COMPILE_CACHE=${join(deployed, 'cache')}`;
  return ['env', cache, process.execPath, join(deployed, folder, 'main.js')];
}

/** Bundles every program as it is deployed, into a temporary folder. @returns the folder and how to remove it. */
export async function buildPrograms(): Promise<{
  readonly folder: string;
  remove(): Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-programs-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await bundle(folder);
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, remove };
}
