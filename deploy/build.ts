import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Puts together `deploy/dist/understudy`: everything that the services and the command need, and nothing that only
 * development needs. Node itself strips the types, so nothing is compiled; what is in `node_modules` is JavaScript
 * already, and the workspaces are links to folders outside of it. It runs with plain `node services/x/main.ts`, by any
 * Node from 24 on, on the platform it was built on.
 */
const ROOT = fileURLToPath(new URL('../', import.meta.url));
const target = resolve(process.argv[2] ?? join(ROOT, 'deploy', 'dist', 'understudy'));
const SHIPPED = ['services', 'packages/cli'];

/** What the lock file says of a package. */
interface Locked {
  readonly link?: boolean;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

/** Paths, from the root, of every installed package that the shipped workspaces need. */
async function needed(): Promise<readonly string[]> {
  const args = ['ls', '--omit=dev', '--all', '--parseable', ...SHIPPED.map((path) => `--workspace=${path}`)];
  const listed = execFileSync('npm', args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  return (
    listed
      .split('\n')
      .map((path) => relative(ROOT, path))
      .filter((path) => path !== '' && path.startsWith('node_modules/'))
      // What development alone installs may look needed, when something could make use of it.
      .filter((path) => lock.packages[path]?.dev !== true && lock.packages[path]?.devOptional !== true)
  );
}

const isShipped = (source: string): boolean => !/(\.test\.ts|\/(node_modules|dist|\.turbo))$/.test(source);

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
for (const path of await needed()) {
  const scoped = /^node_modules\/@understudy\/([^/]+)$/.exec(path);
  if (scoped === null) {
    // Nested ones are listed by themselves.
    await cp(join(ROOT, path), join(target, path), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.slice(ROOT.length + path.length).includes('/node_modules'),
    });
    continue;
  }
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const folder = lock.packages[path]?.resolved ?? '';
  await cp(join(ROOT, folder), join(target, folder), { recursive: true, filter: isShipped });
  await mkdir(dirname(join(target, path)), { recursive: true });
  await symlink(relative(dirname(join(target, path)), join(target, folder)), join(target, path));
}
for (const path of ['schema', 'LICENSE', 'README.md']) {
  await cp(join(ROOT, path), join(target, path), { recursive: true });
}
const { name, version, license } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<
  string,
  string
>;
await writeFile(
  join(target, 'package.json'),
  `${JSON.stringify({ name, version, license, private: true, type: 'module', engines: { node: '>=24' } }, null, 2)}\n`,
);
await mkdir(join(target, 'bin'));
await writeFile(
  join(target, 'bin', 'understudy'),
  '#!/bin/sh\nexec node "$(dirname "$(readlink -f "$0")")/../packages/cli/main.ts" "$@"\n',
  { mode: 0o755 },
);
console.log(`built ${relative(ROOT, target) || target}`);
