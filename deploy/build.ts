import { chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle, PROGRAMS } from './bundle.ts';

/**
 * Puts together `deploy/dist/understudy`, or the folder given: every service and the command, bundled with what they
 * import, and nothing that only development needs. It runs with plain `node services/x/main.js`, by any Node from 24
 * on and on any platform, without packages to install.
 */
const ROOT = fileURLToPath(new URL('../', import.meta.url));
const target = resolve(process.argv[2] ?? join(ROOT, 'deploy', 'dist', 'understudy'));

await rm(target, { recursive: true, force: true });
await bundle(target, PROGRAMS);
for (const path of ['LICENSE', 'README.md']) await cp(join(ROOT, path), join(target, path));
const { name, version, license } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<
  string,
  string
>;
await writeFile(
  join(target, 'package.json'),
  `${JSON.stringify({ name, version, license, private: true, type: 'module', engines: { node: '>=24' } }, null, 2)}\n`,
);
const command = join(target, 'bin', 'understudy');
await mkdir(join(target, 'bin'));
await writeFile(
  command,
  '#!/bin/sh\nexec node "$(dirname "$(readlink -f "$0")")/../packages/cli/main.js" "$@"\n',
);
await chmod(command, 0o755);
console.log(`built ${relative(ROOT, target) || target}`);
