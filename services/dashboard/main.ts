import { configOrExit } from '@understudy/runtime/config/main';
import { runService } from '@understudy/runtime/lifecycle';
import { createLogger } from '@understudy/runtime/logging';
import { startDashboard } from './dashboard.ts';

const config = configOrExit('dashboard', ['database']);
const log = createLogger(config.log, 'dashboard');

await runService({
  name: 'dashboard',
  log,
  start: async (_signal, drain) => {
    const dashboard = await startDashboard(config, log, drain);
    log.info({ url: dashboard.url }, 'the dashboard listens');
    return dashboard;
  },
});
