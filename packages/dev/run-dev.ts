import { setTimeout as delay } from 'node:timers/promises';
import { allKeys, environmentName } from '@understudy/runtime/config/load';
import type { Config } from '@understudy/runtime/config/sections';
import getPort from 'get-port';
import { ensureDatabase, type KnownDatabase } from './database.ts';
import { DevFailure } from './failure.ts';
import { HOME, type Home, openHome } from './home.ts';
import type { DevOptions } from './options.ts';
import { assertFree, isFree, type WantedPort } from './ports.ts';
import { type KeptServer, startKeptServer } from './postgres/kept-server.ts';
import { createScreen, progressOf, readReplica, type Screen } from './progress.ts';
import { assertQueue } from './queue.ts';
import { type RunningServices, startServices } from './services.ts';
import { welcome } from './welcome.ts';

/** The sandbox's own scripts: one for the services, one for whoever tries the replica. */
const SANDBOX_SERVICE = { name: 'understudy', key: 'sandbox-key' };
const SANDBOX_CLIENT = { name: 'pipeline', key: 'pipeline-key' };
const USER = 'understudy';
const LOOPBACK = '127.0.0.1';
const LOOK_MS = 300;
/** Services that say in the database that they live, besides those with an address. */
const BEATING = ['event-poller', 'applier', 'scanner', 'retirement-reprocessor'];

/** Ends everything when it is told to, or when a part of it ended by itself. */
export interface Signals {
  /** Stop orderly. */
  readonly stopping: AbortSignal;
  /** Stop at once. */
  readonly forced: AbortSignal;
}

/**
 * Starts PostgreSQL, the sandbox site and every service, shows how the first full scan goes, and stops them in the
 * other order when told to.
 * @throws DevFailure for whatever its user can put right.
 */
export async function runDev(options: DevOptions, env: NodeJS.ProcessEnv, signals: Signals): Promise<void> {
  const screen = createScreen();
  const home = await openHome(options.folder ?? HOME);
  await home.take();
  let postgres: KeptServer | undefined;
  let services: RunningServices | undefined;
  try {
    if (options.reset) {
      screen.line('forgetting all data of earlier starts');
      await home.reset();
    }
    await assertFree(wantedPorts(options));
    if (options.queueUrl !== null) await assertQueue(options.queueUrl);
    const stoppedEarly = (): boolean => signals.stopping.aborted;
    let database: KnownDatabase;
    if (options.databaseUrl === null) {
      screen.line('PostgreSQL starts…');
      if (home.elsewhere !== null) {
        screen.line(`  its account cannot enter this checkout: its data is kept in ${home.elsewhere}`);
      }
      postgres = await startPostgres(options, home, (said) =>
        screen.line(`PostgreSQL ended, and was started again: ${said.split('\n').at(-1)}`),
      );
      const name = options.realSite ? databaseName(options.config.site.url) : USER;
      database = await ensureDatabase(postgres.url, name);
    } else database = { url: options.databaseUrl };
    if (stoppedEarly()) return;
    const config = resolve(options, home, database.url);
    await home.writeConfig(config);
    screen.line('the services start…');
    services = startServices({
      env: cleaned(env, home.configFile),
      withSandbox: !options.realSite,
      colours: process.stdout.isTTY === true,
      onStarted: (pid) => postgres?.guard(pid),
      onLine: (line) => screen.line(line),
    });
    const ended = new AbortController();
    let failure: DevFailure | undefined;
    const partEnded = (what: string): void => {
      if (ended.signal.aborted || signals.stopping.aborted) return;
      failure = new DevFailure(what);
      ended.abort(failure);
    };
    void services.ended.then((code) => partEnded(`the services ended (turbo: exit code ${code}); see above`));
    void postgres?.ended.then((said) => partEnded(`PostgreSQL ended: ${said}`));
    const signal = AbortSignal.any([signals.stopping, ended.signal]);
    await follow(screen, config, options, signal);
    await aborted(signal);
    if (failure !== undefined) throw failure;
  } finally {
    screen.finish();
    const force = (): void => {
      services?.kill();
      void postgres?.stop('immediate');
    };
    if (signals.forced.aborted) force();
    signals.forced.addEventListener('abort', force, { once: true });
    if (services !== undefined) screen.line('stopping the services… (Ctrl-C once more ends them at once)');
    await services?.stop();
    if (postgres !== undefined) screen.line('stopping PostgreSQL…');
    await postgres?.stop();
    await home.leave();
    screen.line('stopped');
  }
}

function wantedPorts({ config, realSite, postgresPort, databaseUrl }: DevOptions): readonly WantedPort[] {
  const { reader, sandbox, dashboard } = config;
  return [
    { owner: 'the api-reader', host: reader.host, port: reader.port, flag: '--reader-port' },
    ...(realSite
      ? []
      : [{ owner: 'the sandbox site', host: sandbox.host, port: sandbox.port, flag: '--sandbox-port' }]),
    { owner: 'the dashboard', host: dashboard.host, port: dashboard.port, flag: '--dashboard-port' },
    ...(postgresPort === null || databaseUrl !== null
      ? []
      : [{ owner: 'PostgreSQL', host: LOOPBACK, port: postgresPort, flag: '--postgres-port' }]),
  ];
}

async function startPostgres(
  options: DevOptions,
  home: Home,
  onRevived: (said: string) => void,
): Promise<KeptServer> {
  const { kept } = home;
  const known = kept.postgresPort;
  // The others' ports are free until they listen, which is later.
  const exclude = wantedPorts(options).map(({ port }) => port);
  const isOurs = known !== null && !exclude.includes(known) && (await isFree(known, LOOPBACK));
  const port = options.postgresPort ?? (isOurs ? known : await getPort({ host: LOOPBACK, exclude }));
  await home.keep({ postgresPort: port });
  try {
    const server = {
      folder: kept.postgresFolder,
      port,
      user: USER,
      password: kept.password,
      throwAway: false,
    };
    return await startKeptServer(server, onRevived);
  } catch (cause) {
    throw new DevFailure(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Each site has a database of its own: what was read from one never mixes with another. */
function databaseName(site: string): string {
  return `site_${new URL(site).host.replaceAll(/[^a-z0-9]+/gi, '_').toLowerCase()}`.slice(0, 63);
}

/** The whole configuration of the instance. */
function resolve(options: DevOptions, home: Home, databaseUrl: string): Config {
  const { config, realSite } = options;
  const { reader, sandbox } = config;
  return {
    ...config,
    database: { ...config.database, url: databaseUrl },
    queue: { ...config.queue, url: options.queueUrl ?? databaseUrl },
    site: realSite
      ? config.site
      : {
          ...config.site,
          url: `http://${sandbox.host}:${sandbox.port}`,
          scriptName: SANDBOX_SERVICE.name,
          scriptKey: SANDBOX_SERVICE.key,
        },
    reader: { ...reader, mediaFolder: reader.mediaFolder === '' ? home.media : reader.mediaFolder },
    sandbox: { ...sandbox, stateFile: sandbox.stateFile === '' ? home.sandboxState : sandbox.stateFile },
    log: { ...config.log, pretty: true },
    control: { secret: config.control.secret === '' ? home.kept.controlSecret : config.control.secret },
  };
}

/** The environment without what configures Understudy: that is all in the file. */
function cleaned(env: NodeJS.ProcessEnv, configFile: string): NodeJS.ProcessEnv {
  const ours = new Set([
    'DATABASE_URL',
    'QUEUE_URL',
    ...[...allKeys()].map((k) => environmentName(k.section, k.key)),
  ]);
  const rest = Object.fromEntries(Object.entries(env).filter(([name]) => !ours.has(name)));
  return { ...rest, UNDERSTUDY_CONFIG: configFile };
}

/** Waits until everything is up and says so, then shows the first full scan until the reader serves it. */
async function follow(
  screen: Screen,
  config: Config,
  options: DevOptions,
  signal: AbortSignal,
): Promise<void> {
  const readerUrl = `http://${config.reader.host}:${config.reader.port}`;
  const dashboardUrl = `http://${config.dashboard.host}:${config.dashboard.port}`;
  const isUp = async (): Promise<boolean> => {
    for (const url of [`${readerUrl}/healthz`, `${dashboardUrl}/healthz`])
      if (!(await answers(url, signal))) return false;
    const report = await readReplica(config.database.url).catch(() => null);
    const alive = new Set(report?.services.map((service) => service.service));
    return BEATING.every((name) => alive.has(name));
  };
  while (!signal.aborted && !(await isUp())) await pause(LOOK_MS, signal);
  if (signal.aborted) return;
  const client = options.realSite
    ? { name: config.site.scriptName, key: 'the script’s key' }
    : SANDBOX_CLIENT;
  for (const line of welcome({ config, readerUrl, dashboardUrl, client })) screen.line(line);
  const startedAt = performance.now();
  let shown = false;
  while (!signal.aborted && !(await answers(`${readerUrl}/readyz`, signal))) {
    const report = await readReplica(config.database.url).catch(() => null);
    const progress = report === null ? null : progressOf(report);
    // One that was done before this start is no news.
    if (progress !== null && (shown || progress.chunksDone < progress.chunks)) {
      screen.progress(progress);
      shown = true;
    }
    await pause(LOOK_MS, signal);
  }
  if (signal.aborted) return;
  const report = await readReplica(config.database.url).catch(() => null);
  const progress = report === null ? null : progressOf(report);
  if (shown && progress !== null) screen.progress(progress);
  screen.finish();
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  screen.line(
    shown
      ? `the first full scan is served: ${progress?.rows ?? '?'} entities, ${seconds} s. Reads are answered from the replica.`
      : 'the replica of the last start is served and follows the site again. Reads are answered from the replica.',
  );
}

async function answers(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const reply = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) });
    await reply.body?.cancel();
    return reply.ok;
  } catch {
    // Not yet.
    return false;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {
    // Told to stop: the caller looks.
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
