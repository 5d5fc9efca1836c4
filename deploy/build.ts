import { globSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

/**
 * Puts together `deploy/dist/understudy`, or the folder given: every service and the command, bundled with what they
 * import, and nothing that only development needs. It runs with plain `node services/x/main.js`, by any Node from 24
 * on and on any platform, without packages to install.
 */
const ROOT = fileURLToPath(new URL('../', import.meta.url));
const target = resolve(process.argv[2] ?? join(ROOT, 'deploy', 'dist', 'understudy'));

/** The licences of packages, one after the other: whoever passes on the tree passes them on as well. */
async function licences(folders: readonly string[]): Promise<string> {
  const texts = folders.map(async (folder) => {
    const { name, version, license } = JSON.parse(
      await readFile(join(ROOT, folder, 'package.json'), 'utf8'),
    ) as Record<string, unknown>;
    const [file] = globSync('{LICEN[SC]E,licen[sc]e}*', { cwd: join(ROOT, folder) });
    const text = file === undefined ? '' : await readFile(join(ROOT, folder, file), 'utf8');
    return `${name} ${version} (${license ?? 'see its text'})\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`);
}

await rm(target, { recursive: true, force: true });
const packages = await bundle(target);
await writeFile(join(target, 'LICENSES-OF-PACKAGES.txt'), await licences(packages));
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
