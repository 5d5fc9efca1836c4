import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '@understudy/domain/entity';
import { type Fault, startTestSite } from './test-site.ts';

/** What fields take, and how they give it back (protocol §3.5). */
const site = await startTestSite();
const project = { type: 'Project', id: (await site.create('Project', { name: 'Values' })).id };
const ids: Readonly<Record<string, number>> = {
  Shot: (await site.create('Shot', { code: 'a', project })).id,
  Task: (await site.create('Task', { content: 'a', project })).id,
  Version: (await site.create('Version', { code: 'a', project })).id,
  CustomEntity01: (await site.create('CustomEntity01', { code: 'a', project })).id,
};

const written = async (type: string, field: string, value: Json): Promise<Json> =>
  (await site.update(type, ids[type] ?? 0, { [field]: value }))[field];

async function isRefused(type: string, field: string, value: Json, why: RegExp): Promise<void> {
  await assert.rejects(written(type, field, value), (error: Fault) => why.test(error.message), `${value}`);
}

test('numbers have 32 bits, sums of money thirteen digits', async () => {
  for (const value of [2_147_483_647, -2_147_483_648, '12'])
    assert.equal(await written('Shot', 'sg_cut_in', value), Number(value));
  for (const value of [2_147_483_648, -2_147_483_649, 1.5, '1.5'])
    await isRefused('Shot', 'sg_cut_in', value, /Value is not legal/);
  for (const value of [9_999_999_999_999.99, -9_999_999_999_999.99, 0])
    assert.equal(await written('Shot', 'sg_bid_cost', value), value);
  for (const value of [10_000_000_000_000, -1e20])
    await isRefused('Shot', 'sg_bid_cost', value, /Value is not legal/);
});

test('a date is a day of the calendar, a time is told in UTC', async () => {
  for (const value of ['2024-02-29', '0001-01-01', '9999-12-31'])
    assert.equal(await written('Shot', 'sg_turnover_date', value), value);
  assert.equal(await written('Shot', 'sg_turnover_date', ''), null);
  for (const value of ['2026-02-30', '2026-13-01', '0000-01-01', '2026-1-1', '2026-01-01T00:00:00Z'])
    await isRefused('Shot', 'sg_turnover_date', value, /Value is not legal/);
  for (const [value, read] of [
    ['2026-01-01T10:00:00+02:00', '2026-01-01T08:00:00Z'],
    ['2026-01-01T10:00:00', '2026-01-01T10:00:00Z'],
    ['2026-01-01', '2026-01-01T00:00:00Z'],
  ] as const)
    assert.equal(await written('Version', 'client_approved_at', value), read);
  for (const value of ['', 'soon', 'Thu, 01 Jan 2026 00:00:00 GMT', '9999-12-31T23:59:59-01:00'])
    await isRefused('Version', 'client_approved_at', value, /Value is not legal/);
});

test('colors that are named are kept as their parts', async () => {
  assert.equal(await written('Task', 'color', '1,2,3'), '1,2,3');
  assert.equal(await written('Task', 'color', 'pipeline_step'), 'pipeline_step');
  for (const name of ['Red', 'Blue', 'Orange', 'Pink', 'Green', 'Purple', 'Grey', 'Black'])
    assert.match(String(await written('Task', 'color', name)), /^\d+,\d+,\d+$/);
});

test('what the site makes itself nobody writes', async () => {
  const { sg_uuid: before } = await site.first(
    'CustomEntity01',
    [['id', 'is', ids['CustomEntity01']]],
    ['sg_uuid'],
  );
  assert.match(before, /^[0-9a-f-]{36}$/);
  for (const value of ['0f8fad5b-d9cb-469f-a165-70867728950e', null])
    await isRefused('CustomEntity01', 'sg_uuid', value, /is read only/);
  await isRefused('Shot', 'smart_cut_summary_display', 'x', /is read only/);
});

test('text is trimmed, empty text is none, and its < comes back in words that clients know', async () => {
  for (const [value, read] of [
    [' a ', 'a'],
    ['', null],
    [' \n', null],
    ['a < b & c > d', 'a &lt; b & c > d'],
    ['a &lt; b', 'a &lt; b'],
  ] as const)
    assert.equal(await written('Shot', 'description', value), read);
});

test('a file is never bare text', async () => {
  await isRefused('Version', 'sg_uploaded_movie', 'http://x/y.mov', /Value is not legal/);
  const link = await written('Version', 'sg_uploaded_movie', { url: 'http://x/y.mov', name: 'y' });
  assert.deepEqual(
    { ...(link as object), id: 0 },
    {
      type: 'Attachment',
      id: 0,
      url: 'http://x/y.mov',
      name: 'y',
      content_type: null,
      link_type: 'web',
    },
  );
});

test('a value that has to be unique is refused in the words of the call', async () => {
  const [first, second] = [
    await site.create('Tag', { name: 'one' }),
    await site.create('Tag', { name: 'two' }),
  ];
  const why = '[Tag]. The value for the Name field is required to be unique. <br>';
  await assert.rejects(site.create('Tag', { name: 'one' }), {
    message: `API create() CRUD ERROR #61: Create failed for ${why}`,
  });
  await assert.rejects(site.update('Tag', second.id, { name: 'one' }), {
    message: `API update() CRUD ERROR #51: Update failed for ${why}`,
  });
  await site.update('Tag', first.id, { name: 'one' });
});
