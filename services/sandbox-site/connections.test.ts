import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Row, startTestSite } from './test-site.ts';

const TYPE = 'PlaylistVersionConnection';
const site = await startTestSite();
const project = { type: 'Project', id: 1 };
const [one, two, three] = (await site.find('Version', [['project', 'is', project]], [], {}))
  .slice(0, 3)
  .map(({ type, id }) => ({ type, id })) as [Row, Row, Row];

const ids = (rows: readonly { readonly id: number }[]): readonly number[] => rows.map(({ id }) => id);
const rowsOf = (playlist: { readonly type: string; readonly id: number }): Promise<Row[]> =>
  site.find(TYPE, [['playlist', 'is', { type: 'Playlist', id: playlist.id }]], ['version', 'sg_sort_order']);
const versionsOf = async (playlist: { readonly id: number }): Promise<readonly number[]> =>
  ids((await site.find('Playlist', [['id', 'is', playlist.id]], ['versions']))[0]?.['versions']);

test('a list of a seeded studio has a row for each link', async () => {
  const playlists = await site.find('Playlist', [], ['versions']);
  assert.ok(playlists.some(({ versions }) => versions.length > 0));
  for (const playlist of playlists) {
    const rows = await rowsOf(playlist as unknown as { type: string; id: number });
    assert.deepEqual(
      ids(rows.map(({ version }) => version)).toSorted(),
      ids(playlist['versions']).toSorted(),
    );
  }
});

test('rows come and go with the links of the list, and tell of it', async () => {
  const playlist = await site.create('Playlist', { code: 'dailies', project, versions: [one, two] });
  const made = await rowsOf(playlist);
  assert.deepEqual(ids(made.map(({ version }) => version)), [one.id, two.id]);
  const from = await site.lastEventId();
  await site.update('Playlist', playlist.id, { versions: [two, three] });
  const now = await rowsOf(playlist);
  assert.deepEqual(ids(now.map(({ version }) => version)), [two.id, three.id]);
  assert.equal(now[0]?.id, made[1]?.id, 'the row of a link that stays is the same');
  const events = await site.events(from);
  const told = events.map(({ event_type }) => event_type);
  assert.ok(told.includes(`Shotgun_${TYPE}_New`));
  assert.ok(told.includes(`Shotgun_${TYPE}_Retirement`));
  assert.ok(told.includes('Shotgun_Playlist_Change'));
});

test('links of the list come and go with the rows', async () => {
  const playlist = await site.create('Playlist', { code: 'by rows', project });
  const ref = { type: 'Playlist', id: playlist.id };
  const row = await site.create(TYPE, { playlist: ref, version: one, sg_sort_order: 7 });
  assert.deepEqual(await versionsOf(playlist), [one.id]);
  assert.deepEqual(ids(await rowsOf(playlist)), [row.id]);
  await site.update(TYPE, row.id, { sg_sort_order: 8 });
  assert.deepEqual(
    (await rowsOf(playlist)).map(({ sg_sort_order: order }) => order),
    [8],
  );
  await assert.rejects(site.update(TYPE, row.id, { version: two }), /editable on create only/);
  await site.call('delete', { type: TYPE, id: row.id });
  assert.deepEqual(await versionsOf(playlist), []);
  await site.call('revive', { type: TYPE, id: row.id });
  assert.deepEqual(await versionsOf(playlist), [one.id]);
  assert.deepEqual(ids(await rowsOf(playlist)), [row.id]);
});

test('a write that is refused leaves neither rows nor links', async () => {
  const playlist = await site.create('Playlist', { code: 'rolled back', project });
  await assert.rejects(site.update('Playlist', playlist.id, { versions: [one], nope: 1 }));
  assert.deepEqual(await rowsOf(playlist), []);
  assert.deepEqual(await versionsOf(playlist), []);
});
