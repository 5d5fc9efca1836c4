import { ConfigError } from '@understudy/runtime/config/load';
import { DevFailure } from './failure.ts';
import { parseOptions } from './options.ts';
import { runDev } from './run-dev.ts';

const EXIT_FAILED = 70;
const EXIT_USAGE = 64;
const EXIT_FORCED = 130;

const stopping = new AbortController();
const forced = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!stopping.signal.aborted) stopping.abort(new Error(`stopped by ${signal}`));
    else forced.abort(new Error(`forced by ${signal}`));
  });
}

try {
  const options = parseOptions(process.argv.slice(2), process.env);
  await runDev(options, process.env, { stopping: stopping.signal, forced: forced.signal });
  process.exit(forced.signal.aborted ? EXIT_FORCED : 0);
} catch (error) {
  const told = error instanceof DevFailure || error instanceof ConfigError;
  if (!told) console.error(error);
  else for (const line of error.message.split('\n')) console.error(`bin/dev: ${line}`);
  process.exit(error instanceof ConfigError ? EXIT_USAGE : EXIT_FAILED);
}
