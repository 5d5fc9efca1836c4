import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Logs so many lines and ends in a way. @returns the numbers of the lines that came out. */
async function linesOf(count: number, end: string): Promise<readonly number[]> {
  const script = `
    import { createLogger } from ${JSON.stringify(fileURLToPath(new URL('logging.ts', import.meta.url)))};
    const log = createLogger({ level: 'info', pretty: false }, 'test', { buffered: true });
    for (let n = 0; n < ${count}; n += 1) log.info({ n, text: 'é'.repeat(50) }, 'line');
    ${end}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  await once(child, 'close');
  return out
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { n: number }).n);
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);

test('every line comes out in its order, however the process ends', async () => {
  assert.deepEqual(await linesOf(10, ''), upTo(10));
  assert.deepEqual(await linesOf(10, 'process.exit(3);'), upTo(10));
  assert.deepEqual(await linesOf(10, "throw new Error('broken');"), upTo(10));
  assert.deepEqual(await linesOf(20_000, ''), upTo(20_000));
});

test('a line waits no longer than a moment', async () => {
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { createLogger } from ${JSON.stringify(fileURLToPath(new URL('logging.ts', import.meta.url)))};
    createLogger({ level: 'info', pretty: false }, 'test', { buffered: true }).info('line');
    setInterval(() => {}, 1_000);`,
  ]);
  await once(child.stdout, 'data');
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
});
