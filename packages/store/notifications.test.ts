import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startLossyNetwork } from '@understudy/harness/lossy-network';
import { createTestDatabase } from '@understudy/harness/postgres';
import { listen } from './notifications.ts';

test('whoever cannot begin to listen is told, though the network loses every word', async (t) => {
  const database = await createTestDatabase();
  const network = await startLossyNetwork(database.url);
  t.after(async () => {
    network.close();
    await database.drop();
  });
  void network.loseEverythingAt('listen "news"');
  const options = { url: network.url, applicationName: 'test', channel: 'news', onNotice: () => {} };
  await assert.rejects(listen(options), /timeout/);
  // And can try again.
  await (await listen(options)).close();
});
