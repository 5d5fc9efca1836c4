import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLogEntry } from '@understudy/domain/event';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import { normalizeEvent } from './normalize.ts';

const schema = parseCachedSchema('types:\n  Note:\n    subject: text\n    updated_at: date_time\n');

test('that somebody has read a note does not count as a change of it (protocol §6.3)', () => {
  const entry: EventLogEntry = {
    id: 7,
    event_type: 'Shotgun_Reading_Change',
    attribute_name: 'read_by_current_user',
    entity: { type: 'Note', id: 24, name: 'Look' },
    project: null,
    user: { type: 'HumanUser', id: 3, name: 'Ada' },
    meta: {
      type: 'attribute_change',
      attribute_name: 'read_by_current_user',
      old_value: 'unread',
      new_value: 'read',
    },
    created_at: '2026-11-24T14:01:23Z',
    description: null,
    session_uuid: null,
  };
  const { change } = normalizeEvent(entry, { tick: 1, late: false, schema });
  assert.equal(change.kind, 'refresh');
});

test('a change without meta of what a name is made of takes no name away (protocol §6.3)', () => {
  const entry: EventLogEntry = {
    id: 8,
    event_type: 'Shotgun_Shot_Change',
    attribute_name: 'code',
    entity: { type: 'Shot', id: 24, name: 'sh_020' },
    project: null,
    user: null,
    meta: null,
    created_at: '2026-11-24T14:01:23Z',
    description: null,
    session_uuid: null,
  };
  const { change } = normalizeEvent(entry, { tick: 1, late: false, schema });
  assert.deepEqual(change, {
    kind: 'refresh',
    target: { type: 'Shot', id: 24 },
    reason: 'its name is not told',
  });
});
