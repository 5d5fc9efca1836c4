import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@understudy/harness/until';
import { onReplica } from '@understudy/pipeline/replica';
import { type Api, call, readOf, startApi } from './api-rig.ts';

/** A database that a process with another site's address has taken over, while those of the site before still run. */
let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api?.stop());

const hold = (siteUrl: string): Promise<unknown> =>
  api.replica.db.pool.query(
    'update understudy.schema_state set site_url = $1, epoch = epoch + 1, version = version + 1',
    [siteUrl],
  );

test('nothing of one site is merged into the replica of another, nor answered from it', async () => {
  const sourceOf = async (): Promise<string> =>
    String((await call(api.readerUrl, 'read', readOf('Shot', ['code']))).headers['x-understudy']);
  assert.equal(await sourceOf(), 'replica');
  await hold('https://other.example.com');
  await assert.rejects(
    onReplica(api.replica, (replica) => replica.db.transaction(async () => {})),
    { name: 'OtherSite', message: /the replica of https:\/\/other\.example\.com/ },
  );
  await until('reads pass through', async () => (await sourceOf()) === 'site; reason=no-replica');
  await hold(api.siteUrl);
  await until('the replica answers again', async () => (await sourceOf()) === 'replica');
});
