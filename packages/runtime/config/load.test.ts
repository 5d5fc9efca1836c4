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

test('help lists every key', () => {
  const help = configHelp('api-reader');
  for (const { section, key } of allKeys())
    assert.ok(help.includes(`--${flagName(section, key)} `), `${section}.${key}`);
});
