import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EntityRow, Json } from '@understudy/domain/entity';
import { type Api, call, entitiesOf, readOf, startApi } from './api-rig.ts';

/** Rows of connection types come and go with lists, and lists with them; no reply says so, and the next read must show it. */
describe('connection rows after a write through the reader', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api?.stop());

  async function write(method: string, payload: object): Promise<Json> {
    const { json } = await call(api.readerUrl, method, payload);
    assert.equal(json.exception, undefined, json.message);
    return json.results ?? null;
  }

  async function agree(
    type: string,
    fields: readonly string[],
    more: object = {},
  ): Promise<readonly EntityRow[]> {
    const payload = readOf(type, fields, [], more);
    const [ours, theirs] = await Promise.all([
      call(api.readerUrl, 'read', payload),
      call(api.siteUrl, 'read', payload),
    ]);
    assert.equal(ours.headers['x-understudy'], 'replica');
    assert.deepEqual(entitiesOf(ours), entitiesOf(theirs));
    return entitiesOf(ours);
  }

  for (const { of, list, listed, mirror, rows, from, to } of [
    {
      of: 'Playlist',
      list: 'versions',
      listed: 'Version',
      mirror: null,
      rows: 'PlaylistVersionConnection',
      from: 'playlist',
      to: 'version',
    },
    {
      of: 'Shot',
      list: 'assets',
      listed: 'Asset',
      mirror: 'shots',
      rows: 'AssetShotConnection',
      from: 'shot',
      to: 'asset',
    },
    {
      of: 'Task',
      list: 'upstream_tasks',
      listed: 'Task',
      mirror: 'downstream_tasks',
      rows: 'TaskDependency',
      from: 'task',
      to: 'dependent_task',
    },
  ]) {
    test(`${of}.${list}`, async () => {
      const project = { field_name: 'project', value: { type: 'Project', id: 1 } };
      const all = async (): Promise<readonly EntityRow[]> => {
        await agree(of, [list]);
        if (mirror !== null) await agree(listed, [mirror]);
        await agree(rows, [from, to], { return_only: 'retired' });
        return agree(rows, [from, to]);
      };
      const targets = entitiesOf(await call(api.siteUrl, 'read', readOf(listed, [])))
        .slice(0, 4)
        .map(({ type, id }) => ({ type, id })) as unknown as Json[];
      const before = (await all()).length;
      const name = { field_name: of === 'Task' ? 'content' : 'code', value: 'with a list' };
      const made = (await write('create', {
        type: of,
        fields: [name, project, { field_name: list, value: targets.slice(0, 2) }],
      })) as { readonly type: string; readonly id: number };
      assert.equal((await all()).length, before + 2);
      const set = async (value: readonly Json[], mode: string): Promise<number> => {
        const field = { field_name: list, value, multi_entity_update_mode: mode };
        await write('update', { type: of, id: made.id, fields: [field] });
        return (await all()).length - before;
      };
      assert.equal(await set(targets.slice(2, 4), 'add'), 4);
      assert.equal(await set(targets.slice(0, 1), 'remove'), 3);
      assert.equal(await set(targets.slice(0, 2), 'set'), 2);
      if (mirror !== null) {
        const owner = { type: made.type, id: made.id };
        const target = targets[3] as unknown as { readonly id: number };
        const field = { field_name: mirror, value: [owner], multi_entity_update_mode: 'add' };
        await write('update', { type: listed, id: target.id, fields: [field] });
        assert.equal((await all()).length, before + 3);
      }
      const owner = { type: made.type, id: made.id };
      const row = (await write('create', {
        type: rows,
        fields: [
          { field_name: from, value: owner },
          { field_name: to, value: targets[2] ?? null },
        ],
      })) as { readonly id: number };
      await all();
      for (const method of ['delete', 'revive']) {
        await write(method, { type: rows, id: row.id });
        await all();
      }
    });
  }
});
