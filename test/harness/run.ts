import { spawn } from 'node:child_process';

/** Runs every test file of the repository, or those given as arguments, and exits as the runner does. */
const patterns = process.argv.length > 2 ? process.argv.slice(2) : ['{packages,services,test}/**/*.test.ts'];
const runner = spawn(process.execPath, ['--test', '--test-concurrency=2', ...patterns], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
runner.on('exit', (code) => process.exit(code ?? 1));
