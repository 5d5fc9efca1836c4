import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

interface Listed {
  readonly pid: number;
  readonly parent: number;
}

const POLL_MS = 50;

/** Whether a process is there (one that ended and was not waited for yet does not count, where that can be seen). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return statOf(pid)?.state !== 'Z';
}

/** Its state and parent as Linux tells them; null elsewhere, and when it is gone. */
function statOf(pid: number): { readonly state: string; readonly parent: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything.
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}

/** The command line of a process, as text; empty when it is not known. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    try {
      return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    } catch {
      return '';
    }
  }
}

/** Every process that can be seen: from /proc, or from `ps` where there is none. */
function listProcesses(): readonly Listed[] {
  let names: readonly string[];
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    names = [];
  }
  if (names.length > 0) {
    return names.flatMap((name) => {
      const stat = statOf(Number(name));
      return stat === null || stat.state === 'Z' ? [] : [{ pid: Number(name), parent: stat.parent }];
    });
  }
  const text = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [pid, parent] = line.trim().split(/\s+/).map(Number);
      return { pid: pid ?? 0, parent: parent ?? 0 };
    });
}

/** All descendants of a process, nearest first. */
export function descendantsOf(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const { pid, parent } of listProcesses()) {
    const siblings = children.get(parent) ?? [];
    siblings.push(pid);
    children.set(parent, siblings);
  }
  const found: number[] = [];
  const next = [root];
  for (let at = next.shift(); at !== undefined; at = next.shift()) {
    const below = children.get(at) ?? [];
    found.push(...below);
    next.push(...below);
  }
  return found;
}

/** The descendants that have no children themselves: where a runner started programs, the programs. */
export function leavesOf(root: number): readonly number[] {
  const below = descendantsOf(root);
  return below.filter((pid) => descendantsOf(pid).length === 0);
}

/** Sends a signal; a process that is gone already is no error. */
export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Ends the programs that a runner started: each is asked to drain, and the runner ends once they have. A runner that
 * is told itself would give them half a second.
 * @param graceMs after which whatever is left is killed.
 * @returns whether all of them ended by themselves.
 */
export async function endTree(root: number, graceMs: number): Promise<boolean> {
  const all = [...descendantsOf(root), root];
  const leaves = leavesOf(root);
  for (const pid of leaves.length === 0 ? [root] : leaves) signalIfAlive(pid, 'SIGTERM');
  const deadline = performance.now() + graceMs;
  while (all.some(isAlive) && performance.now() < deadline) await delay(POLL_MS);
  const left = all.filter(isAlive);
  for (const pid of left) signalIfAlive(pid, 'SIGKILL');
  while (all.some(isAlive)) await delay(POLL_MS);
  return left.length === 0;
}

/** Kills a process and all its descendants at once. */
export function killTree(root: number): void {
  for (const pid of [root, ...descendantsOf(root)]) signalIfAlive(pid, 'SIGKILL');
}
