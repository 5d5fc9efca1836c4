import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { configHelp } from './help.ts';
import { allKeys, ConfigError, flagName, loadConfig } from './load.ts';

test('flags override the environment, which overrides the file, which overrides defaults', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'config-')), 'understudy.yaml');
  writeFileSync(path, 'poller: {intervalMs: 100, batchSize: 10, leaseMs: 5000}\n');
  const config = loadConfig({
    needs: [],
    argv: ['--poller-interval-ms', '300'],
    env: {
      UNDERSTUDY_CONFIG: path,
      UNDERSTUDY_POLLER_INTERVAL_MS: '200',
      UNDERSTUDY_POLLER_BATCH_SIZE: '20',
    },
  });
  assert.equal(config.poller.intervalMs, 300);
  assert.equal(config.poller.batchSize, 20);
  assert.equal(config.poller.leaseMs, 5_000);
  assert.equal(config.poller.queueDepthMax, 1_000);
});

test('the queue lives in the database unless told otherwise', () => {
  const url = 'postgres://me@db/replica';
  assert.equal(loadConfig({ needs: ['database'], env: { DATABASE_URL: url } }).queue.url, url);
  const env = { DATABASE_URL: url, QUEUE_URL: 'redis://queue' };
  assert.equal(loadConfig({ needs: ['database'], env }).queue.url, 'redis://queue');
});

test('every fault is named at once, and no secret is', () => {
  const env = {
    UNDERSTUDY_READER_PORT: 'eighty',
    UNDERSTUDY_LOG_LEVEL: 'loud',
    QUEUE_URL: 'http://user:hunter2@queue',
  };
  assert.throws(
    () => loadConfig({ needs: ['database'], env }),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      for (const word of ['UNDERSTUDY_READER_PORT', 'UNDERSTUDY_LOG_LEVEL', 'QUEUE_URL', 'DATABASE_URL']) {
        assert.match(error.message, new RegExp(word));
      }
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
  );
  assert.throws(() => loadConfig({ needs: [], argv: ['--no-such-key', '1'], env: {} }), ConfigError);
});

/** Every fault of a configuration file with this content. */
function faultsOf(content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'config-')), 'understudy.yaml');
  writeFileSync(path, content);
  try {
    loadConfig({ needs: [], argv: ['--config', path], env: {} });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

test('a file that cannot be parsed is named without what stands in it', () => {
  const faults = faultsOf('site:\n  scriptKey: hunter2\n  scriptKey: hunter3\n');
  assert.match(faults, /Map keys must be unique at line 3/);
  assert.doesNotMatch(faults, /hunter/);
});

test('a key without a value, and text that YAML takes for something else, are refused', () => {
  assert.match(faultsOf('site: {scriptKey: }'), /site\.scriptKey has no value/);
  assert.match(
    faultsOf('site: {scriptName: 007}'),
    /site\.scriptName: must be text; in YAML, put it in quotes/,
  );
  assert.match(faultsOf('sandbox: {faults: {latencyMs: 1}}'), /must be text/);
  assert.match(faultsOf('log: {pretty: maybe}'), /must be true or false/);
  assert.match(faultsOf('reader: {port: [1]}'), /must be a whole number/);
  assert.match(faultsOf('reader: {localRuleSets: [1]}'), /must be a list of words/);
  assert.equal(faultsOf("site: {scriptName: '007', scriptKey: ''}"), '');
});

test('an address that cannot be taken apart is refused without showing it', () => {
  for (const url of [
    'postgres://me:hunter#2@db/x',
    'postgres://me:hunter%2@db/x',
    'postgres://me:hunter2@db:99999/x',
  ]) {
    assert.throws(
      () => loadConfig({ needs: [], env: { DATABASE_URL: url } }),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, /^DATABASE_URL: is not an address; write # /);
        assert.doesNotMatch(error.message, /hunter/);
        return true;
      },
      url,
    );
  }
  for (const url of [
    'postgres://me:hunter%232@db/x',
    'postgresql:///x?host=/run/postgresql',
    'postgres://me@[::1]:5432/x',
  ])
    assert.equal(loadConfig({ needs: [], env: { DATABASE_URL: url } }).database.url, url);
  for (const url of [
    'https://me:hunter2@studio.example.com',
    'https://studio.example.com?x=1',
    'http://a b',
  ]) {
    const env = { UNDERSTUDY_SITE_URL: url };
    assert.throws(
      () => loadConfig({ needs: [], env }),
      /^ConfigError: UNDERSTUDY_SITE_URL: must be an http/,
      url,
    );
  }
});

test('a name of the environment that is no key is refused, but not what Kubernetes tells of its Services', () => {
  const env = { UNDERSTUDY_SITE_CONCURENCY: '2' };
  assert.throws(() => loadConfig({ needs: [], env }), /unknown environment name UNDERSTUDY_SITE_CONCURENCY/);
  const links = {
    UNDERSTUDY_SERVICE_HOST: '10.0.0.1',
    UNDERSTUDY_WEB_SERVICE_PORT_HTTP: '80',
    UNDERSTUDY_WEB_PORT: 'tcp://10.0.0.1:80',
    UNDERSTUDY_WEB_PORT_80_TCP_ADDR: '10.0.0.1',
  };
  assert.equal(loadConfig({ needs: [], env: links }).site.concurrency, 8);
});

test('a certificate without its key, or a key alone, is refused', () => {
  for (const name of ['UNDERSTUDY_READER_TLS_KEY_FILE', 'UNDERSTUDY_READER_TLS_CERTIFICATE_FILE'])
    assert.throws(() => loadConfig({ needs: [], env: { [name]: '/a.pem' } }), /are needed together/);
});

test('a word that is no flag is not shown: it may be a secret', () => {
  assert.throws(
    () => loadConfig({ needs: [], argv: ['--site-script-key=', 'hunter2'], env: {} }),
    (error: unknown) => error instanceof ConfigError && !error.message.includes('hunter2'),
  );
});

test('help lists every key', () => {
  const help = configHelp('api-reader');
  for (const { section, key } of allKeys())
    assert.ok(help.includes(`--${flagName(section, key)} `), `${section}.${key}`);
});
