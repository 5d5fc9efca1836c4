import { type AuthObject, own } from './envelope.ts';

/** Who a request says it is (protocol §1.2). Holds no secret, so it may be logged. */
export interface Identity {
  readonly kind: 'user' | 'script' | 'session' | 'none';
  /** Login or script name; null for sessions, whose owner only the site knows. */
  readonly name: string | null;
  readonly sudoAsLogin: string | null;
}

const NOBODY: Identity = { kind: 'none', name: null, sudoAsLogin: null };

/** @returns who an auth object names; a login beats a script, which beats a session (protocol §1.2). */
export function identityOf(auth: AuthObject | null): Identity {
  if (auth === null) return NOBODY;
  const text = (key: string): string | null => {
    const value = own(auth, key);
    return typeof value === 'string' ? value : null;
  };
  // Anything given as sudo, even what is not a login, is another identity than the credential's own.
  const sudo = own(auth, 'sudo_as_login');
  const sudoAsLogin = sudo === undefined || sudo === null ? null : String(text('sudo_as_login') ?? '?');
  const login = text('user_login');
  if (own(auth, 'user_login') !== undefined) return { kind: 'user', name: login, sudoAsLogin };
  if (own(auth, 'script_name') !== undefined)
    return { kind: 'script', name: text('script_name'), sudoAsLogin };
  if (own(auth, 'session_token') !== undefined) return { kind: 'session', name: null, sudoAsLogin };
  return { ...NOBODY, sudoAsLogin };
}
