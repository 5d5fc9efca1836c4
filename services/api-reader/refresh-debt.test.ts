import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Replica } from '@understudy/pipeline/replica';
import { pino } from 'pino';
import { createRefreshDebt } from './refresh-debt.ts';

test('a second write to an entity, of which PostgreSQL could not be told, is owed though the first one is handed over', async () => {
  let canBeTold = true;
  const told = Promise.withResolvers<void>();
  // Nothing can be fetched; PostgreSQL takes the first request.
  const query = async ({ name }: { readonly name?: string }): Promise<unknown> => {
    if (name !== 'request-refresh' || !canBeTold) throw new Error('away');
    told.resolve();
    return { rows: [] };
  };
  const replica = { schema: { types: new Map() }, db: { pool: { query } } } as unknown as Replica;
  const debt = createRefreshDebt(pino({ level: 'silent' }));
  const written = [{ type: 'Shot', id: 1 }];
  const first = debt.settle(replica, written);
  await told.promise;
  canBeTold = false;
  await debt.settle(replica, written);
  assert.equal(debt.isOpen, true);
  await first;
  assert.equal(debt.isOpen, true);
});
