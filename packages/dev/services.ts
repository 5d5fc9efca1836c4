import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ROOT } from './home.ts';
import { endTree, killTree } from './process-tree.ts';

/** Every service, started by `turbo run dev`. */
export interface RunningServices {
  readonly pid: number;
  /** Resolves when turbo ends, with its exit code. */
  readonly ended: Promise<number | null>;
  /** Lets every service drain. */
  stop(): Promise<void>;
  kill(): void;
}

/** More than there are services: turbo runs each to its end. */
const CONCURRENCY = 32;
/** How long a service may drain. */
const DRAIN_MS = 20_000;
/** What npm and turbo print about themselves. */
const NOISE = [
  /^\S+:dev: (>|$|cache bypass)/,
  /^\s*$/,
  /^(turbo \d|• | WARNING {2}Circular|\s*(Tasks|Cached|Time|Failed):)/,
];

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal are control characters
const COLOURS = /\u001b\[[0-9;]*m/g;

/**
 * @param env the services' environment; what else configures them is left out by the caller.
 * @param onLine gets each line that a service prints, with its name in front.
 */
export function startServices(options: {
  readonly env: NodeJS.ProcessEnv;
  readonly withSandbox: boolean;
  readonly colours: boolean;
  readonly onLine: (line: string) => void;
}): RunningServices {
  const filters = [
    '--filter=./services/*',
    ...(options.withSandbox ? [] : ['--filter=!./services/sandbox-site']),
  ];
  const child = spawn(
    'turbo',
    ['run', 'dev', ...filters, `--concurrency=${CONCURRENCY}`, '--continue=always'],
    {
      cwd: ROOT,
      // A session of its own: a Ctrl-C in the terminal is for us, who then stop one after the other.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...options.env,
        TURBO_TELEMETRY_DISABLED: '1',
        TURBO_NO_UPDATE_NOTIFIER: '1',
        ...(options.colours ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }),
      },
    },
  );
  const pid = child.pid;
  if (pid === undefined) throw new Error('turbo cannot be started');
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      const plain = line.replaceAll(COLOURS, '');
      if (!NOISE.some((pattern) => pattern.test(plain)))
        options.onLine(line.replace(/@understudy\/([a-z-]+):dev:/, '$1:'));
    });
  }
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  return {
    pid,
    ended,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) await endTree(pid, DRAIN_MS);
      await ended;
    },
    kill: () => killTree(pid),
  };
}
