import { readdirSync, readFileSync } from 'node:fs';

/** Environment variable that every process of a test run inherits. */
export const RUN_VARIABLE = 'TEST_RUN_ID';

/** A process that a test run left behind. */
export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** Processes that carry a run's id in their environment, besides this one. Only Linux can tell; elsewhere: none. */
export function leftoversOf(runId: string): readonly Leftover[] {
  let names: readonly string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const environment = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
      if (!environment.includes(`${RUN_VARIABLE}=${runId}`)) return [];
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      // A process that ended and was not waited for has no command line any more.
      return command === '' ? [] : [{ pid, command }];
    } catch {
      // Gone since, or another user's.
      return [];
    }
  });
}
