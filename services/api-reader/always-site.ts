import type { ApiCall } from './api-call.ts';

/** Part of the name of every field that depends on who asks: `read_by_current_user`, `*_by_current_user` (protocol §3.4). */
const PER_USER = Buffer.from('current_user');

/**
 * Says why a call is the site's to answer whoever makes it and however fresh the replica is, in a word; null where the
 * replica may answer.
 */
export function whyAlwaysSites(call: ApiCall): string | null {
  const { envelope, identity, body } = call;
  // How `authenticate_human_user` finds out whether a password is right (protocol §5.9): only the site may say so.
  if (identity.kind === 'user' && envelope.method === 'read' && typeOf(envelope.payload) === 'HumanUser')
    return 'authentication';
  if (body.includes(PER_USER)) return 'per-user';
  return null;
}

function typeOf(payload: unknown): unknown {
  return (payload as { readonly type?: unknown } | null | undefined)?.type;
}
