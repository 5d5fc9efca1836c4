import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadJob, LoadResult } from './load-generator.ts';

/** A process that this one talks to. */
export interface Talking<T> {
  readonly first: T;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a script of this folder and waits for its first message. */
export async function startTalking<T>(script: string, args: readonly string[]): Promise<Talking<T>> {
  const child = fork(fileURLToPath(new URL(`../${script}`, import.meta.url)), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [first] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`${script} ended with ${code}`))),
  ])) as [T];
  return {
    first,
    child,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** A load generator in a process of its own. */
export interface LoadGenerator {
  /** @throws Error when any answer was not a good one of the replica. */
  run(job: LoadJob): Promise<LoadResult>;
  stop(): Promise<void>;
}

export async function startLoadGenerator(): Promise<LoadGenerator> {
  const { child, stop } = await startTalking('load/load-generator.ts', []);
  return {
    run: async (job) => {
      child.send(job);
      const [result] = (await once(child, 'message')) as [LoadResult];
      if (result.failures > 0)
        throw new Error(`${result.failures} bad answers of ${job.url}, the first: ${result.firstFailure}`);
      return result;
    },
    stop,
  };
}
