import { globSync, readFileSync } from 'node:fs';

/**
 * Who may import whom (see ARCHITECTURE.md). Keys are workspace names; a service, the command or `dev` may import
 * every package below it, and no service imports another. Tests may import the harness as well.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  schema: ['domain'],
  'site-client': ['domain', 'schema'],
  store: ['domain', 'schema', 'site-client'],
  query: ['domain', 'schema', 'store'],
  pipeline: ['domain', 'schema', 'site-client', 'store', 'query'],
  runtime: ['domain', 'schema', 'site-client', 'store', 'pipeline'],
};
const PACKAGES = [...Object.keys(ALLOWED)];

const faults: string[] = [];
for (const file of globSync('{packages,services}/*/**/*.ts', { exclude: ['**/node_modules/**'] })) {
  const [area, owner] = file.split('/') as [string, string];
  const isTest = file.endsWith('.test.ts');
  const allowed =
    area === 'services' || owner === 'cli' || owner === 'dev' ? PACKAGES : (ALLOWED[owner] ?? []);
  for (const match of readFileSync(file, 'utf8').matchAll(/from '@understudy\/([^/']+)/g)) {
    const target = match[1] ?? '';
    if (target === owner || allowed.includes(target) || (isTest && target === 'harness')) continue;
    faults.push(`${file}: ${owner} may not import ${target}`);
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
