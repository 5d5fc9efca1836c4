import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ProductProcess, ROOT } from '@understudy/harness/child-process';
import { freePort } from '@understudy/harness/free-port';
import { program } from '@understudy/harness/programs';
import { until } from '@understudy/harness/until';
import { parseCachedSchema, readCachedSchemaFile } from '@understudy/schema/cached-schema-file';
import { fitToSite } from '@understudy/schema/difference';
import { parseFullSchema } from '@understudy/schema/full-schema';
import { schemaChanges } from '@understudy/schema/schema-change';

/** The tools for schema files, as people run them, on the sandbox site. */
const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));

let site: ProductProcess;
let env: NodeJS.ProcessEnv;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-schema-'));
  const port = await freePort();
  env = {
    ...process.env,
    UNDERSTUDY_SITE_URL: `http://127.0.0.1:${port}`,
    UNDERSTUDY_SITE_SCRIPT_NAME: 'understudy',
    UNDERSTUDY_SITE_SCRIPT_KEY: 'sandbox-key',
    UNDERSTUDY_SANDBOX_PORT: String(port),
    UNDERSTUDY_SANDBOX_SCALE: '20',
  };
  site = new ProductProcess('sandbox-site', program('services/sandbox-site'), env);
  site.start();
  await until('the sandbox answers', async () => (await fetch(`http://127.0.0.1:${port}/_sandbox`)).ok);
});
after(async () => {
  await site.end('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

// The site is another process, so nothing is lost by waiting for the command.
function understudy(...args: string[]): { readonly code: number | null; readonly stdout: string } {
  const [file, ...words] = program('packages/cli');
  const { status, stdout, stderr } = spawnSync(file, [...words, 'schema', ...args], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
  });
  assert.ok(status === 0 || status === 1, `${stdout}${stderr}`);
  return { code: status, stdout };
}

test('dump gives the public and the private schema, as YAML and as JSON', async () => {
  const { stdout } = understudy('dump');
  const full = parseFullSchema(stdout);
  assert.equal(full.get('Task')?.get('content')?.isIdentifier, true);
  assert.equal(full.get('Task')?.get('entity')?.inverse, 'tasks');
  assert.equal(full.get('Project')?.get('last_accessed_by_current_user')?.isPerUser, true);
  assert.deepEqual(full, parseFullSchema(understudy('dump', '--json').stdout));
});

test('the default patterns give what of the default schema a site has', async () => {
  await writeFile(join(folder, 'full.yaml'), understudy('dump').stdout);
  const { stdout } = understudy(
    'filter',
    join(folder, 'full.yaml'),
    '--patterns',
    path('schema/default.patterns'),
  );
  const full = parseFullSchema(await readFile(join(folder, 'full.yaml'), 'utf8'));
  const fitting = fitToSite(await readCachedSchemaFile(path('schema/default.yaml')), full).schema;
  assert.deepEqual(schemaChanges(fitting, parseCachedSchema(stdout)), []);
});

test('check names what does not fit', async () => {
  const file = join(folder, 'studio.yaml');
  await writeFile(file, 'types:\n  Shot: {code: list, sg_lost: text}\n  Nothing: {code: text}\n');
  const { code, stdout } = understudy('check', file);
  assert.equal(code, 1);
  assert.match(stdout, /Shot\.code is text on the site, not list/);
  assert.match(stdout, /the site has no Shot\.sg_lost/);
  assert.match(stdout, /the site has no Nothing/);
  await writeFile(file, 'types:\n  Shot: {code: text, sg_lost: absent}\n');
  assert.equal(understudy('check', file).code, 0);
});
