import { configOrExit } from '@understudy/runtime/config/main';
import { runService } from '@understudy/runtime/lifecycle';
import { createLogger } from '@understudy/runtime/logging';
import { startReader } from './reader.ts';

const config = configOrExit('api-reader', ['site', 'database']);
const log = createLogger(config.log, 'api-reader', { buffered: true });

await runService({
  name: 'api-reader',
  log,
  start: async (_signal, drain) => {
    const reader = await startReader(config, log, drain);
    log.info({ url: reader.url, site: new URL(config.site.url).host }, 'the reader listens');
    return reader;
  },
});
