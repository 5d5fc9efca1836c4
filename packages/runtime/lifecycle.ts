import type { Logger } from 'pino';

/** What a service is to the process that runs it. */
export interface RunningService {
  /** Works until the signal is aborted, then drains; rejects when it cannot go on. */
  run(signal: AbortSignal): Promise<void>;
}

const EXIT_CRASH = 70;
const EXIT_FORCED = 130;

/**
 * Runs a service until SIGTERM or SIGINT, which lets it drain; a second signal ends the process at once. Sets the
 * exit code: 0 after a drain, 70 when the service failed, 130 when forced.
 */
export async function runService(options: {
  readonly name: string;
  readonly log: Logger;
  /** @param drain ends the service as SIGTERM does. */
  readonly start: (signal: AbortSignal, drain: () => void) => Promise<RunningService>;
}): Promise<void> {
  const { name, log } = options;
  const stopping = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping.signal.aborted) process.exit(EXIT_FORCED);
    log.info({ signal }, 'draining');
    stopping.abort(new Error(`stopped by ${signal}`));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    const service = await options.start(stopping.signal, () => {
      if (stopping.signal.aborted) return;
      log.info('told to drain');
      stopping.abort(new Error('told to drain'));
    });
    log.info({ pid: process.pid, node: process.version }, `${name} runs`);
    await service.run(stopping.signal);
    log.info('stopped');
    process.exit(0);
  } catch (error) {
    if (stopping.signal.aborted) process.exit(0);
    log.fatal({ err: error }, `${name} cannot go on`);
    process.exit(EXIT_CRASH);
  }
}
