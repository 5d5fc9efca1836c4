import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filtersOf, SCRIPT, startTestSite } from './test-site.ts';

const site = await startTestSite();
const project = { type: 'Project', id: (await site.create('Project', { name: 'Calls' })).id };
const user = { type: 'HumanUser', id: 2 };
const shot = { type: 'Shot', id: (await site.create('Shot', { code: 'zeta_010', project })).id };

test('people follow, and stop following', async () => {
  const asked = { user, entity: shot };
  assert.deepEqual(await site.call('follow', asked), { followed: true, ...asked });
  assert.deepEqual(await site.call('follow', asked), { followed: true, ...asked });
  const [follower, ...more] = await site.call('followers', { entity: shot });
  assert.deepEqual([follower.id, follower.status, follower.valid, more], [2, 'act', 'valid', []]);
  assert.deepEqual(await site.call('following', { user }), [shot]);
  assert.deepEqual(await site.call('following', { user, entity_type: 'Task' }), []);
  assert.deepEqual(await site.call('following', { user, project }), [shot]);
  assert.deepEqual(await site.call('unfollow', asked), { unfollowed: true, ...asked });
  assert.deepEqual(await site.call('followers', { entity: shot }), []);
});

test('a note’s thread is the note, then replies in time, with the fields asked for', async () => {
  const note = await site.create('Note', { subject: 's', content: 'c', project, note_links: [shot] });
  const reply = await site.create('Reply', { content: 'yes', entity: { type: 'Note', id: note.id }, user });
  const thread = await site.call('note_thread_contents', {
    note_id: note.id,
    entity_fields: { Note: ['subject'] },
  });
  assert.deepEqual(
    thread.map((row: { type: string; id: number }) => [row.type, row.id]),
    [
      ['Note', note.id],
      ['Reply', reply.id],
    ],
  );
  assert.equal(thread[0].subject, 's');
  assert.match(thread[0].created_at, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  assert.ok('image' in thread[1].user);
});

test('the activity stream is made of the events, newest first', async () => {
  await site.update('Shot', shot.id, { description: 'moved' });
  const asked = {
    type: 'Shot',
    id: shot.id,
    max_id: null,
    min_id: null,
    limit: null,
    entity_fields: { Shot: ['code'] },
  };
  const stream = await site.call('activity_stream', asked);
  const [newest] = stream.updates;
  assert.equal(newest.id, stream.latest_update_id);
  assert.equal(newest.meta.attribute_name, 'description');
  assert.equal(newest.primary_entity.code, 'zeta_010');
  assert.equal(
    stream.updates.filter((update: { update_type: string }) => update.update_type === 'create').length,
    1,
  );
  const limited = await site.call('activity_stream', { ...asked, limit: 1 });
  assert.equal(limited.updates.length, 1);
});

test('text search finds names that hold every word', async () => {
  await site.create('Task', { content: 'Comp', project, entity: shot });
  const entity_types = { Shot: filtersOf([['project', 'is', project]]), Task: filtersOf([]) };
  const asked = { text: 'ZETA 010', entity_types, project_ids: [], max_results: null };
  const found = await site.call('query_display_name_cache', asked);
  assert.deepEqual(found.terms, ['zeta', '010']);
  assert.deepEqual(
    found.matches.map((item: { type: string; name: string }) => [item.type, item.name]),
    [
      ['Task', 'Comp'],
      ['Shot', 'zeta_010'],
    ],
  );
  assert.deepEqual(found.matches[0].links, ['Shot', 'zeta_010']);
  await assert.rejects(site.call('query_display_name_cache', { ...asked, text: 'ze' }), /at least 3/);
});

test('the work schedule: the nearer rule decides', async () => {
  const span = { start_date: '2026-01-02', end_date: '2026-01-05', project: null, user: null };
  const week = await site.call('work_schedule_read', span);
  assert.deepEqual(week['2026-01-03'], { working: false, description: null, reason: 'STUDIO_WORK_WEEK' });
  assert.equal(week['2026-01-05'].working, true);
  const off = { date: '2026-01-05', working: false, description: 'Holiday', project: null, user: null };
  assert.deepEqual(await site.call('work_schedule_update', { ...off, recalculate_field: null }), off);
  await site.call('work_schedule_update', { ...off, working: true, description: 'Crunch', project });
  assert.equal((await site.call('work_schedule_read', span))['2026-01-05'].reason, 'STUDIO_EXCEPTION');
  const inProject = await site.call('work_schedule_read', { ...span, project });
  assert.deepEqual(inProject['2026-01-05'], {
    working: true,
    description: 'Crunch',
    reason: 'PROJECT_EXCEPTION',
  });
  await assert.rejects(site.call('work_schedule_update', { ...off, project, user }), /not both/);
});

test('preferences: all of them, or those that are known', async () => {
  assert.equal((await site.call('preferences_read', { prefs: [] })).hours_per_day, 8);
  assert.deepEqual(await site.call('preferences_read', { prefs: ['hours_per_day', 'nope'] }), {
    hours_per_day: 8,
  });
});

test('what is each person’s own differs by who reads', async () => {
  const person = { user_login: 'user1', user_password: 'sandbox' };
  const method = 'update_project_last_accessed_by_current_user';
  assert.ok(await site.call(method, { project_id: project.id }, person));
  const seen = async (auth: object): Promise<unknown> =>
    (await site.find('Project', [['id', 'is', project.id]], ['last_accessed_by_current_user'], {}, auth))[0]
      ?.last_accessed_by_current_user;
  assert.match(String(await seen(person)), /Z$/);
  assert.equal(await seen(SCRIPT), null);
  const note = await site.create('Note', { subject: 'n', project });
  const from = await site.lastEventId();
  await site.update('Note', note.id, { read_by_current_user: 'read' }, person);
  const [event] = await site.events(from);
  assert.equal(event?.event_type, 'Shotgun_Reading_Change');
  assert.equal(event?.entity.id, note.id);
  assert.equal(event?.meta.entity_id, undefined);
});

test('a shot made with a template gets its tasks; its versions retire with it', async () => {
  const template = await site.first('TaskTemplate', []);
  const made = await site.create('Shot', { code: 'templated', project, task_template: template });
  const tasks = await site.find('Task', [['entity', 'is', { type: 'Shot', id: made.id }]], ['content']);
  assert.equal(tasks.length, 2);
  const version = await site.create('Version', { code: 'v', project, entity: { type: 'Shot', id: made.id } });
  assert.equal(await site.call('delete', { type: 'Shot', id: made.id }), true);
  assert.equal(await site.call('delete', { type: 'Shot', id: made.id }), false);
  assert.deepEqual(await site.find('Version', [['id', 'is', version.id]]), []);
  const [retired] = await site.find('Version', [['id', 'is', version.id]], ['entity'], {
    return_only: 'retired',
  });
  assert.equal(retired?.entity, null);
});

test('pages, trees and unknown methods', async () => {
  await assert.rejects(site.call('export_page', { format: 'csv' }), /'page_id' missing/);
  await assert.rejects(
    site.call('export_page', { format: 'csv', page_id: 999_999 }),
    /Export for Page id=999999 not available/,
  );
  const page = await site.first('Page', [['project', 'is_not', null]], ['entity_type', 'project']);
  const csv = await fetch(`${site.url}/api3/json`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      method_name: 'export_page',
      params: [SCRIPT, { format: 'csv', page_id: page.id, layout_name: null }],
    }),
  });
  assert.equal(csv.headers.get('content-type'), 'text/csv; charset=utf-8');
  const lines = (await csv.text()).trimEnd().split('\r\n');
  const listed = await site.find(page.entity_type, [['project', 'is', page.project]]);
  assert.equal(lines[0], `"Id","${page.entity_type} Name"`);
  assert.deepEqual(
    lines.slice(1).map((line) => Number(/^"(\d+)",/.exec(line)?.[1])),
    listed.map(({ id }) => id),
  );
  assert.ok((await site.call('nav_expand', { path: '/' })).children.length > 0);
  await assert.rejects(site.call('no_such_method', {}), /unknown method 'no_such_method'/);
  await assert.rejects(site.call('toString', {}), /unknown method/);
});

test('a body that is too large or no JSON is refused and changes nothing', async () => {
  const from = await site.lastEventId();
  const post = (body: string): Promise<Response> =>
    fetch(`${site.url}/api3/json`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  assert.equal(
    (await post(JSON.stringify({ method_name: 'read', params: ['x'.repeat(11_000_000)] }))).status,
    413,
  );
  assert.equal((await post('{"method_name":')).status, 400);
  assert.equal(await site.lastEventId(), from);
});
