import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseOldServer } from './migrate.ts';

test('a PostgreSQL that is too old is refused by its name', async () => {
  const server = (version: string, number: string): never =>
    ({ query: async () => ({ rows: [{ version, number }] }) }) as never;
  await assert.rejects(refuseOldServer(server('16.9', '160009')), /17 or later is needed; this one is 16\.9/);
  await refuseOldServer(server('17.0', '170000'));
  await refuseOldServer(server('18.4', '180004'));
});
