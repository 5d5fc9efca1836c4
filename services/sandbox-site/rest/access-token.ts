import { createHmac, randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { authenticate } from '../auth.ts';
import type { Sandbox } from '../sandbox-site.ts';
import { SandboxFault } from '../site-fault.ts';

const LIFETIME_S = 600;
const signingKey = randomBytes(32);

/** The auth object of the JSON API that the form of a grant amounts to; null for one that lacks something. */
function authOf(form: URLSearchParams): Record<string, unknown> | null {
  const given = (...names: readonly string[]): readonly string[] | null => {
    const values = names.map((name) => form.get(name));
    return values.every((value) => value !== null) ? (values as string[]) : null;
  };
  const login = /^sudo_as_login:(.+)$/.exec(form.get('scope') ?? '')?.[1];
  const sudo = login === undefined ? {} : { sudo_as_login: login };
  switch (form.get('grant_type')) {
    case 'client_credentials': {
      const [name, key] = given('client_id', 'client_secret') ?? [];
      return name === undefined ? null : { script_name: name, script_key: key, ...sudo };
    }
    case 'password': {
      const [user, password] = given('username', 'password') ?? [];
      const code = form.get('auth_token');
      const second = code === null ? {} : { auth_token: code };
      return user === undefined ? null : { user_login: user, user_password: password, ...second, ...sudo };
    }
    case 'session_token': {
      const [token] = given('session_token') ?? [];
      return token === undefined ? null : { session_token: token, ...sudo };
    }
    default:
      return null;
  }
}

const GRANTS: ReadonlySet<unknown> = new Set(['client_credentials', 'password', 'session_token']);

function refuse(reply: FastifyReply, status: number, code: number, title: string): FastifyReply {
  return reply.code(status).send({
    errors: [{ id: randomBytes(8).toString('hex'), status, code, title, source: null, detail: null }],
  });
}

function signed(payload: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(payload)}`;
  return `${text}.${createHmac('sha256', signingKey).update(text).digest('base64url')}`;
}

/** `POST /api/v1/auth/access_token` (protocol §7.1), whose token says whose it is. The rest of REST is not there. */
export function accessTokenRoute(app: FastifyInstance, sandbox: Sandbox): void {
  app.register(async (rest) => {
    rest.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );
    rest.post('/api/:version/auth/access_token', async (request, reply) => {
      const form = request.body;
      if (!(form instanceof URLSearchParams)) return refuse(reply, 415, 103, 'Unsupported media type');
      if (!GRANTS.has(form.get('grant_type'))) return refuse(reply, 400, 103, 'Unsupported grant_type');
      const auth = authOf(form);
      if (auth === null) return refuse(reply, 400, 103, 'Missing or invalid authentication arguments');
      try {
        const { user, sudoActualUser } = authenticate(sandbox, auth);
        const exp = Math.floor(Date.now() / 1_000) + LIFETIME_S;
        const sudo = sudoActualUser === null ? null : auth['sudo_as_login'];
        return reply.send({
          token_type: 'Bearer',
          access_token: signed({ user, auth_type: form.get('grant_type'), sudo_as_login: sudo, exp }),
          expires_in: LIFETIME_S,
          refresh_token: randomBytes(16).toString('hex'),
        });
      } catch (error) {
        if (!(error instanceof SandboxFault)) throw error;
        return refuse(reply, 400, error.code, error.message);
      }
    });
  });
}
