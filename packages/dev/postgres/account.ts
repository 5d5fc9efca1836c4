import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';

/** The account that PostgreSQL runs under when it is not our own. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

const NAME = 'postgres';

function lookUp(name: string): Account | null {
  try {
    const id = (flag: string): number =>
      Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    // No such account: the caller decides what then.
    return null;
  }
}

/**
 * PostgreSQL refuses to run as root: root starts it under the account `postgres`, which is made where it is missing.
 * @returns that account; null when we are not root and it runs as ourselves.
 * @throws Error when there is none and none can be made.
 */
export function postgresAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const known = lookUp(NAME);
  if (known !== null) return known;
  spawnSync('groupadd', ['--system', NAME], { stdio: 'ignore' });
  spawnSync('useradd', ['--system', '--gid', NAME, '--no-create-home', NAME], { stdio: 'ignore' });
  const made = lookUp(NAME) ?? lookUp('nobody');
  if (made !== null) return made;
  throw new Error(
    `PostgreSQL does not run as root, and an account "${NAME}" can neither be found nor made: ` +
      'start this as an ordinary user',
  );
}

/** Whether the account may go into a folder, or into the nearest parent of it that exists. */
export function canEnter(folder: string, account: Account | null): boolean {
  if (account === null) return true;
  let nearest = folder;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  const { status } = spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', nearest], {
    ...account,
    cwd: '/',
    stdio: 'ignore',
  });
  return status === 0;
}
