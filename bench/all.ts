import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Runs every part, one after the other: two at once would measure each other. */
const PARTS: readonly (readonly [script: string, ...args: string[]])[] = [
  ['reads.ts'],
  ['hot.ts'],
  ['pgbench.ts'],
  ['merge.ts'],
  ['replay.ts'],
  ['visibility.ts'],
  // A studio ten times as large: its fill takes minutes.
  ['reads.ts', '--times', '10', '--reads', 'q1,q2,q4', '--clients', '8'],
];

for (const [script, ...args] of PARTS) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
}
