import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const FREE_PORT = new URL('./free-port.ts', import.meta.url).href;
const COUNT = 100;

/** Ports that another process is given. */
async function portsOfAnother(): Promise<readonly number[]> {
  const script = `const { freePort } = await import('${FREE_PORT}');
    const ports = await Promise.all(Array.from({ length: ${COUNT} }, () => freePort()));
    console.log(JSON.stringify(ports));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  return JSON.parse(stdout) as readonly number[];
}

test('a port is given once, whoever asks', async () => {
  const ours = await Promise.all(Array.from({ length: COUNT }, () => freePort()));
  const theirs = await portsOfAnother();
  assert.equal(new Set([...ours, ...theirs]).size, 2 * COUNT);
});
