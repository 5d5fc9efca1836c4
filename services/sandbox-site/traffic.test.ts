import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomFrom } from './random.ts';
import { type Row, startTestSite, type TestSite } from './test-site.ts';
import { playOne } from './traffic/play.ts';

const WRITES = 600;
const one = await startTestSite({ scale: 400 });
const two = await startTestSite({ scale: 400 });

function play(site: TestSite, seed: number): void {
  const random = randomFrom(seed);
  for (let count = 0; count < WRITES; count += 1) playOne(site.sandbox, random);
}

/** Events without what differs from second to second. */
async function story(site: TestSite): Promise<string[]> {
  const events: Row[] = [];
  for (;;) {
    const page = await site.events(events.at(-1)?.id ?? 0);
    events.push(...page);
    if (page.length < 500) break;
  }
  return events.map(({ id, event_type, attribute_name, meta }) =>
    JSON.stringify([id, event_type, attribute_name, meta]).replace(
      /\d{4}-\d\d-\d\d[T ][\d:]+( UTC|Z)/g,
      'then',
    ),
  );
}

test('the same seed plays the same story, which has a bit of everything', async () => {
  play(one, 3);
  play(two, 3);
  const told = await story(one);
  assert.deepEqual(told, await story(two));
  const text = told.join('\n');
  for (const type of ['Task', 'Version', 'Note', 'Reply', 'Shot', 'Playlist']) {
    assert.ok(text.includes(`Shotgun_${type}_`), `nothing happens to a ${type}`);
  }
  for (const wanted of [
    '_Retirement',
    '_Revival',
    'task_assignees',
    'sg_status_list',
    'actual_attribute_changed',
  ]) {
    assert.ok(text.includes(wanted), `no ${wanted}`);
  }
});
