import { spawn } from 'node:child_process';
import { startTestServer } from './postgres.ts';

/**
 * Runs every test file of the repository, or those given as arguments, over one PostgreSQL server, and exits as
 * the runner does.
 */
const patterns = process.argv.length > 2 ? process.argv.slice(2) : ['{packages,services,test}/**/*.test.ts'];
const server = await startTestServer();
const runner = spawn(process.execPath, ['--test', '--test-concurrency=2', ...patterns], {
  stdio: 'inherit',
  env: { ...process.env, TEST_DATABASE_URL: server.url },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
runner.on('exit', async (code) => {
  await server.stop();
  process.exit(code ?? 1);
});
