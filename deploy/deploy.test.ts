import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { allKeys, environmentName } from '@understudy/runtime/config/load';
import { parse, parseAllDocuments } from 'yaml';

const root = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const files = globSync('deploy/**/*', { cwd: root }).filter(
  (path) => !/(^|\/)(dist|node_modules)(\/|$)/.test(path),
);
/** Services that a studio runs; the sandbox is for development. */
const services = readdirSync(`${root}services`).filter((name) => name !== 'sandbox-site');

interface Manifest {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string };
  readonly spec?: {
    readonly template?: {
      readonly spec?: { readonly containers?: readonly { readonly args?: readonly string[] }[] };
    };
  };
}

function manifests(): readonly Manifest[] {
  return files
    .filter((path) => path.startsWith('deploy/kubernetes/') && path.endsWith('.yaml'))
    .flatMap((path) => parseAllDocuments(read(path)).map((document) => document.toJS() as Manifest));
}

test('every YAML and JSON file parses', () => {
  for (const path of files) {
    if (path.endsWith('.json')) JSON.parse(read(path));
    if (!/\.ya?ml$/.test(path)) continue;
    for (const document of parseAllDocuments(read(path))) assert.deepEqual(document.errors, [], path);
  }
});

test('every service has a Deployment that starts it, a PodDisruptionBudget and a place in the kustomization', () => {
  const all = manifests();
  const named = (kind: string): readonly string[] =>
    all.flatMap((manifest) => (manifest.kind === kind ? [manifest.metadata?.name ?? ''] : [])).sort();
  assert.deepEqual(named('Deployment'), [...services].sort());
  assert.deepEqual(named('PodDisruptionBudget'), [...services].sort());
  const started = all.flatMap((manifest) =>
    manifest.kind === 'Deployment' ? (manifest.spec?.template?.spec?.containers?.[0]?.args ?? []) : [],
  );
  assert.deepEqual([...started].sort(), services.map((name) => `services/${name}/main.js`).sort());
  const { resources } = parse(read('deploy/kubernetes/kustomization.yaml')) as {
    readonly resources: readonly string[];
  };
  for (const name of services) assert.ok(resources.includes(`${name}.yaml`), name);
  assert.deepEqual([...new Set(resources)], resources, 'kustomize refuses what is there twice');
});

test('every service is in the systemd target', () => {
  const target = read('deploy/systemd/understudy.target');
  for (const name of services) assert.ok(target.includes(`understudy@${name}.service`), name);
});

test('every environment name is a configuration key', () => {
  const known = new Set([...allKeys()].map(({ section, key }) => environmentName(section, key)));
  for (const path of files.filter((file) => !file.endsWith('.ts') && /\.\w+$|Dockerfile$/.test(file))) {
    for (const [name] of read(path).matchAll(/UNDERSTUDY_[A-Z][A-Z_]*[A-Z]/g)) {
      assert.ok(known.has(name) || name === 'UNDERSTUDY_CONFIG', `${path}: ${name}`);
    }
  }
});

test('alerts and panels use metrics that the services export', () => {
  const exported = new Set<string>();
  for (const path of globSync('{services,packages}/**/*.ts', { cwd: root })) {
    if (path.includes('node_modules')) continue;
    const text = read(path);
    for (const [, name = ''] of text.matchAll(/name: '(understudy_\w+)'/g)) exported.add(name);
    for (const [, name = ''] of text.matchAll(/gauge\(\s*'(\w+)'/g)) exported.add(`understudy_${name}`);
  }
  assert.ok(exported.size > 10);
  const used = ['deploy/prometheus/understudy.rules.yaml', 'deploy/grafana/understudy.json'].flatMap((path) =>
    [...read(path).matchAll(/understudy_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, '')),
  );
  assert.deepEqual(
    [...new Set(used)].filter((name) => !exported.has(name)),
    [],
  );
});

test('alerts hold whatever the scrape jobs are called, and metrics have no label that Prometheus sets itself', () => {
  const { groups } = parse(read('deploy/prometheus/understudy.rules.yaml')) as {
    readonly groups: readonly {
      readonly rules: readonly { readonly alert: string; readonly expr: string }[];
    }[];
  };
  for (const { alert, expr } of groups.flatMap(({ rules }) => rules)) {
    assert.doesNotMatch(expr, /\bjob=|\bup\{/, alert);
    if (expr.includes('understudy_queue_jobs'))
      assert.doesNotMatch(expr, /increase|rate/, `${alert}: a gauge`);
  }
  for (const path of globSync('{services,packages}/**/*metrics.ts', { cwd: root })) {
    assert.doesNotMatch(read(path), /^ +'(instance|job)',$|labelNames: .*'(instance|job)'/m, path);
  }
});
