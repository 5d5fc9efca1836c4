import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { configOrExit } from '@understudy/runtime/config/main';
import { runService } from '@understudy/runtime/lifecycle';
import { createLogger } from '@understudy/runtime/logging';
import { parseFaults } from './faults.ts';
import { parseSandboxJson, parseSandboxYaml } from './sandbox-schema.ts';
import { startSandboxSite } from './sandbox-site.ts';

const { sandbox: config, log: logConfig } = configOrExit('sandbox-site', []);
const log = createLogger(logConfig, 'sandbox-site');
const root = fileURLToPath(new URL('../../', import.meta.url));

await runService({
  name: 'sandbox-site',
  log,
  start: async () => {
    const path = config.schema.startsWith('/') ? config.schema : root + config.schema;
    const text = await readFile(path, 'utf8');
    const site = await startSandboxSite({
      host: config.host,
      port: config.port,
      schema: path.endsWith('.json') ? parseSandboxJson(text) : parseSandboxYaml(text),
      scale: config.scale,
      seed: config.seed,
      writesPerSecond: config.traffic,
      latencyMs: config.latencyMs,
      stateFile: config.stateFile === '' ? null : config.stateFile,
      history: config.history,
      faults: parseFaults(config.faults),
    });
    if (site.putAside !== null) {
      log.warn(
        { putAside: site.putAside },
        'the state file began from another seed, scale or schema: it was put aside',
      );
    }
    log.info({ url: site.url, seed: config.seed, traffic: config.traffic }, 'the sandbox site listens');
    return {
      run: (signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => site.close().then(resolve, reject), { once: true });
        }),
    };
  },
});
