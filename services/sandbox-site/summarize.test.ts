import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fault, filtersOf, startTestSite } from './test-site.ts';

const site = await startTestSite({ scale: 0 });
const project = (await site.create('Project', { name: 'Sums' })).id;
const inProject = filtersOf([['project', 'is', { type: 'Project', id: project }]]);
const link = { type: 'Project', id: project };
const sequence = await site.create('Sequence', { code: 'sq', project: link });
const rows = [
  {
    code: 'a1',
    sg_status_list: 'fin',
    sg_cut_duration: 100,
    sg_turnover_date: '2026-02-03',
    sg_sequence: sequence,
  },
  {
    code: 'b2',
    sg_status_list: 'ip',
    sg_cut_duration: 100,
    sg_turnover_date: '2026-02-28',
    sg_sequence: sequence,
  },
  { code: 'B3', sg_status_list: 'ip', sg_cut_duration: 105 },
  { code: 'c4', sg_status_list: 'wtg' },
];
for (const row of rows) await site.create('Shot', { ...row, project: link });

async function sums(
  summaries: object[],
  grouping?: object[],
): Promise<{ summaries: object; groups: object[] }> {
  const payload = { type: 'Shot', summaries, filters: inProject, ...(grouping ? { grouping } : {}) };
  return site.call('summarize', payload);
}

const one = async (field: string, type: string, more: object = {}): Promise<unknown> =>
  (await sums([{ field, type, ...more }])).summaries;

test('each summary type', async () => {
  assert.deepEqual(await one('id', 'count'), { id: 4 });
  assert.deepEqual(await one('sg_cut_duration', 'count'), { sg_cut_duration: 3 });
  assert.deepEqual(await one('sg_cut_duration', 'record_count'), { sg_cut_duration: 4 });
  assert.deepEqual(await one('sg_cut_duration', 'sum'), { sg_cut_duration: 305 });
  assert.deepEqual(await one('sg_cut_duration', 'maximum'), { sg_cut_duration: 105 });
  assert.deepEqual(await one('sg_cut_duration', 'minimum'), { sg_cut_duration: 100 });
  assert.deepEqual(await one('sg_head_in', 'sum'), { sg_head_in: 0 });
  assert.deepEqual(await one('sg_head_in', 'maximum'), { sg_head_in: null });
  assert.deepEqual(await one('sg_turnover_date', 'earliest'), { sg_turnover_date: '2026-02-03' });
  assert.deepEqual(await one('sg_turnover_date', 'latest'), { sg_turnover_date: '2026-02-28' });
  assert.deepEqual(await one('sg_status_list', 'status_percentage', { value: 'ip' }), { sg_status_list: 50 });
  assert.deepEqual(await one('sg_status_list', 'status_list'), { sg_status_list: 'mixed' });
  const archived = [{ field: 'archived', type: 'unchecked' }];
  const reply = await site.call('summarize', {
    type: 'Project',
    summaries: archived,
    filters: filtersOf([]),
  });
  assert.deepEqual(reply, { summaries: { archived: (await site.find('Project', [])).length }, groups: [] });
});

test('groups are exact values, in order, and nest', async () => {
  const reply = await sums(
    [
      { field: 'id', type: 'count' },
      { field: 'sg_cut_duration', type: 'sum' },
    ],
    [{ field: 'sg_status_list', type: 'exact', direction: 'desc' }],
  );
  assert.deepEqual(reply, {
    summaries: { id: 4, sg_cut_duration: 305 },
    groups: [
      { group_name: 'wtg', group_value: 'wtg', summaries: { id: 1, sg_cut_duration: 0 } },
      { group_name: 'ip', group_value: 'ip', summaries: { id: 2, sg_cut_duration: 205 } },
      { group_name: 'fin', group_value: 'fin', summaries: { id: 1, sg_cut_duration: 100 } },
    ],
  });
  const nested = await sums(
    [{ field: 'id', type: 'count' }],
    [
      { field: 'sg_sequence', type: 'exact' },
      { field: 'sg_cut_duration', type: 'tens' },
    ],
  );
  assert.deepEqual(nested.groups, [
    {
      group_name: 'sq',
      group_value: { type: 'Sequence', id: sequence.id, name: 'sq', valid: 'valid' },
      summaries: { id: 2 },
      groups: [{ group_name: '100 - 109', group_value: 100, summaries: { id: 2 } }],
    },
    {
      group_name: '',
      group_value: null,
      summaries: { id: 2 },
      groups: [
        { group_name: '100 - 109', group_value: 100, summaries: { id: 1 } },
        { group_name: '', group_value: null, summaries: { id: 1 } },
      ],
    },
  ]);
});

test('groups of days of years long past, and of letters that take two code units', async () => {
  const old = { type: 'Project', id: (await site.create('Project', { name: 'Old' })).id };
  await site.create('Shot', { code: '\u{1f600} smile', sg_turnover_date: '0049-05-17', project: old });
  const groupOf = async (field: string, type: string): Promise<unknown> => {
    const reply = await site.call('summarize', {
      type: 'Shot',
      summaries: [{ field: 'id', type: 'count' }],
      filters: filtersOf([['project', 'is', old]]),
      grouping: [{ field, type }],
    });
    return reply.groups[0].group_value;
  };
  assert.equal(await groupOf('code', 'firstletter'), '\u{1f600}');
  assert.equal(await groupOf('sg_turnover_date', 'day'), '0049-05-17');
  assert.equal(await groupOf('sg_turnover_date', 'month'), '0049-05-01');
  assert.equal(await groupOf('sg_turnover_date', 'quarter'), '0049-04-01');
  assert.equal(await groupOf('sg_turnover_date', 'year'), '0049-01-01');
});

test('what cannot be summarized or grouped is refused by name', async () => {
  const refused = (message: RegExp) => (error: Fault) => error.code === 103 && message.test(error.message);
  await assert.rejects(one('code', 'sum'), refused(/Shot.code's 'text' data type/));
  await assert.rejects(one('nope', 'count'), refused(/API summarize\(\) Shot.nope doesn't exist/));
  await assert.rejects(
    sums([{ field: 'id', type: 'count' }], [{ field: 'code', type: 'tens' }]),
    refused(/grouping/),
  );
  const filters = filtersOf([['nope', 'is', 1]]);
  await assert.rejects(
    site.call('summarize', { type: 'Shot', summaries: [{ field: 'id', type: 'count' }], filters }),
    refused(/^API summarize\(\) Shot.nope doesn't exist/),
  );
});

test('archived projects can be left out', async () => {
  await site.update('Project', project, { archived: true });
  const payload = { type: 'Shot', summaries: [{ field: 'id', type: 'count' }], filters: inProject };
  assert.equal((await site.call('summarize', payload)).summaries.id, 4);
  const without = { ...payload, include_archived_projects: false };
  assert.equal((await site.call('summarize', without)).summaries.id, 0);
  await site.update('Project', project, { archived: false });
});
