import { globSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Folders of the programs, from the root: every service, `services/applier`, and the command. */
export const PROGRAMS: readonly string[] = globSync('{services/*,packages/cli}/main.ts', { cwd: ROOT })
  .map((path) => dirname(path))
  .sort();

/** Files that programs read at run time, at the same place in a bundle: bull-board looks for its pages' package. */
const READ_AT_RUN_TIME = ['schema', 'services/dashboard/page.html', 'node_modules/@bull-board/ui'] as const;

/** CommonJS packages inside of a bundle ask for Node's own modules, and bull-board for its pages, with `require`. */
const REQUIRE =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";

/**
 * Bundles the programs with everything that they import: each into `main.js` at the place of its `main.ts`, what they
 * share into chunks. A service that loads a dozen files instead of 1,200 starts with a third of the work.
 * Code that looks for files by `import.meta.url` finds them, since the chunks lie as deep as the packages' sources.
 * @param target the folder, made if it is not there; files that are in it already stay.
 * @returns folders, from the root, of the packages of others that are in it.
 */
export async function bundle(target: string): Promise<readonly string[]> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: PROGRAMS.map((program) => ({ in: `${program}/main.ts`, out: `${program}/main` })),
    outdir: target,
    chunkNames: 'packages/shared/chunks/[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // Names stay, so that a stack trace can be read.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    metafile: true,
    // For `NODE_OPTIONS=--enable-source-maps`: a stack trace then names the source's lines.
    sourcemap: 'linked',
    sourcesContent: false,
    external: ['pg-native'],
    banner: { js: REQUIRE },
    logLevel: 'warning',
  });
  for (const path of READ_AT_RUN_TIME) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await cp(join(ROOT, path), join(target, path), { recursive: true });
  }
  // Without it Node would have to find out for every file what kind of module it is.
  await writeFile(join(target, 'package.json'), '{ "type": "module" }\n');
  const packages = Object.keys(metafile.inputs).flatMap(
    (path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [],
  );
  return [...new Set(packages)].sort();
}
