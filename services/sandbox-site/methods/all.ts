import type { Json } from '@understudy/domain/entity';
import type { Caller } from '../caller.ts';
import type { RawBody } from '../raw-body.ts';
import type { Sandbox } from '../sandbox-site.ts';
import { activityStream } from './activity-stream.ts';
import { exportPage } from './export-page.ts';
import { follow, followers, following, unfollow } from './followers.ts';
import { noteThreadContents } from './note-thread.ts';
import { navExpand, updateProjectLastAccessed } from './pages.ts';
import { preferencesRead } from './preferences.ts';
import { read } from './read.ts';
import { schemaEntityRead, schemaFieldRead, schemaRead } from './schema.ts';
import { schemaFieldCreate, schemaFieldDelete, schemaFieldUpdate } from './schema-write.ts';
import { summarize } from './summarize.ts';
import { queryDisplayNameCache } from './text-search.ts';
import { workScheduleRead, workScheduleUpdate } from './work-schedule.ts';
import { batch, write } from './write.ts';

/** Answers one method of the JSON API. @throws SandboxFault */
export type Method = (sandbox: Sandbox, caller: Caller, payload: unknown) => Json | RawBody;

/** Every method that needs credentials, by its name on the wire. */
export const METHODS: Readonly<Record<string, Method>> = {
  read: (_sandbox, caller, payload) => {
    // Without the flag of newer clients an image is a number (protocol §3.1).
    const asked = (payload as { api_return_image_urls?: unknown } | null | undefined)?.api_return_image_urls;
    return read(caller.view('read', asked === true), payload);
  },
  create: (sandbox, caller, payload) => write(sandbox, caller, 'create', payload),
  update: (sandbox, caller, payload) => write(sandbox, caller, 'update', payload),
  delete: (sandbox, caller, payload) => write(sandbox, caller, 'delete', payload),
  revive: (sandbox, caller, payload) => write(sandbox, caller, 'revive', payload),
  batch,
  summarize: (_sandbox, caller, payload) => summarize(caller.view('summarize'), payload),
  schema_read: (sandbox, _caller, payload) => schemaRead(sandbox.data, payload),
  schema_entity_read: (sandbox, _caller, payload) => schemaEntityRead(sandbox.data, payload),
  schema_field_read: (_sandbox, caller, payload) =>
    schemaFieldRead(caller.view('schema_field_read'), payload),
  schema_field_create: schemaFieldCreate,
  schema_field_update: schemaFieldUpdate,
  schema_field_delete: schemaFieldDelete,
  query_display_name_cache: queryDisplayNameCache,
  activity_stream: activityStream,
  note_thread_contents: noteThreadContents,
  follow,
  unfollow,
  followers,
  following,
  work_schedule_read: workScheduleRead,
  work_schedule_update: workScheduleUpdate,
  preferences_read: (_sandbox, _caller, payload) => preferencesRead(payload),
  update_project_last_accessed_by_current_user: updateProjectLastAccessed,
  user_subscriptions_read: () => [],
  user_subscriptions_create: () => ({ status: 'success' }),
  export_page: (_sandbox, caller, payload) => exportPage(caller.view('export_page'), payload),
  nav_expand: navExpand,
  get_session_token: (sandbox, caller) => ({ session_id: sandbox.sessions.create(caller.actor.user) }),
};
