import type { EntityRef } from '@understudy/domain/entity';
import type { Sessions } from './sessions.ts';

/** Who the cookie `_session_id` of a page or file says it is: it holds a session token (protocol §5.8, §5.10). */
export function sessionOf(sessions: Sessions, cookie: string | undefined): EntityRef | undefined {
  for (const part of (cookie ?? '').split(';')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    if (name === '_session_id') return sessions.use(value, false);
  }
  return undefined;
}
