import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ROOT } from './home.ts';
import { endTree, killTree } from './process-tree.ts';

/** Every service, started by `turbo run dev`. */
export interface RunningServices {
  /** Resolves when turbo ends, with its exit code. */
  readonly ended: Promise<number | null>;
  /** Lets every service drain. */
  stop(): Promise<void>;
  kill(): void;
}

/** More than there are services: turbo runs each to its end. */
const CONCURRENCY = 32;
/** A service that ended is started again after this, as it would be where it is deployed. */
const RESTART_MS = 2_000;
/** What turbo says when a service ended while others go on. */
const SERVICE_ENDED = /^@understudy\/([a-z-]+)#dev: .*command finished with error/;
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
 * @param onStarted gets the process id of each turbo: one of all services, and one of each service started again.
 * @param onLine gets each line that a service prints, with its name in front.
 * @throws Error if turbo cannot be started.
 */
export function startServices(options: {
  readonly env: NodeJS.ProcessEnv;
  readonly withSandbox: boolean;
  readonly colours: boolean;
  readonly onStarted: (pid: number) => void;
  readonly onLine: (line: string) => void;
}): RunningServices {
  const turbos = new Set<Turbo>();
  let stopping = false;
  const start = (filters: readonly string[]): Turbo => {
    const turbo = startTurbo(filters, options, (line, plain) => {
      options.onLine(line);
      const [, service] = SERVICE_ENDED.exec(plain) ?? [];
      if (service === undefined || stopping) return;
      options.onLine(`${service} ended and is started again`);
      setTimeout(() => {
        if (!stopping) start([`--filter=@understudy/${service}`]);
      }, RESTART_MS).unref();
    });
    turbos.add(turbo);
    void turbo.ended.then(() => turbos.delete(turbo));
    options.onStarted(turbo.pid);
    return turbo;
  };
  const { ended } = start([
    '--filter=./services/*',
    ...(options.withSandbox ? [] : ['--filter=!./services/sandbox-site']),
  ]);
  return {
    ended,
    stop: async () => {
      stopping = true;
      await Promise.all([...turbos].map((turbo) => turbo.stop()));
    },
    kill: () => {
      stopping = true;
      for (const { pid } of turbos) killTree(pid);
    },
  };
}

interface Turbo {
  readonly pid: number;
  readonly ended: Promise<number | null>;
  stop(): Promise<void>;
}

/** @param onLine gets each line as it is shown, and without colours and turbo's name for the service. */
function startTurbo(
  filters: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly colours: boolean },
  onLine: (line: string, plain: string) => void,
): Turbo {
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
        onLine(line.replace(/@understudy\/([a-z-]+):dev:/, '$1:'), plain);
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
  };
}
