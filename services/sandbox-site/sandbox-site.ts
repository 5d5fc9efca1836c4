import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Json } from '@understudy/domain/entity';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { adminRoutes } from './admin.ts';
import { authenticate, type Sessions } from './auth.ts';
import { addDisplayColumns } from './display-columns.ts';
import { EventLog, wireTime } from './event-log.ts';
import { type Faults, NO_FAULTS } from './faults.ts';
import { read } from './methods/read.ts';
import { schemaEntityRead, schemaFieldRead, schemaRead } from './methods/schema.ts';
import { schemaFieldCreate, schemaFieldDelete, schemaFieldUpdate } from './methods/schema-write.ts';
import { batch, write } from './methods/write.ts';
import { privateSchemaPage } from './private-schema.ts';
import { type Random, randomFrom } from './random.ts';
import type { SandboxSchema } from './sandbox-schema.ts';
import { BORN, seedStudio } from './seed.ts';
import { SiteData } from './site-data.ts';
import { badRequest, SandboxFault } from './site-fault.ts';
import { playOne } from './traffic.ts';
import { sessionOf } from './web-session.ts';

export interface SandboxOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly schema: SandboxSchema;
  /** Entities of the studio it is seeded with, about. */
  readonly scale: number;
  readonly seed: number;
  /** Writes a second that it makes by itself. */
  readonly writesPerSecond: number;
  readonly latencyMs: number;
}

/** The state that its routes share. */
export interface Sandbox {
  readonly data: SiteData;
  readonly log: EventLog;
  readonly sessions: Sessions;
  readonly random: Random;
  readonly seed: number;
  faults: Faults;
  writesPerSecond: number;
}

const INFO = {
  version: [8, 60, 0],
  full_version: [8, 60, 0, 0],
  api_max_entities_per_page: 500,
  s3_uploads_enabled: false,
  s3_direct_uploads_enabled: false,
  user_authentication_method: 'default',
};
const BODY_LIMIT_BYTES = 50_000_000;
const TRAFFIC_TICK_MS = 50;

/** Answers one call of the JSON API. @throws SandboxFault */
function answer(sandbox: Sandbox, body: unknown): Json {
  if (typeof body !== 'object' || body === null) throw badRequest('API invalid request');
  const { method_name: method, params } = body as { method_name?: unknown; params?: unknown };
  if (typeof method !== 'string') throw badRequest("API invalid/missing string 'method_name'");
  if (method === 'info') return INFO;
  if (!Array.isArray(params)) throw badRequest("API invalid/missing array 'params'");
  const [auth, payload] = params;
  const actor = authenticate(sandbox.data, sandbox.sessions, sandbox.faults, auth);
  switch (method) {
    case 'read':
      return { results: read(sandbox.data, payload, new Date()) };
    case 'create':
    case 'update':
    case 'delete':
    case 'revive':
      return { results: write(sandbox, actor, method, payload) };
    case 'batch':
      return { results: batch(sandbox, actor, payload) };
    case 'schema_read':
      return { results: schemaRead(sandbox.data, payload) };
    case 'schema_entity_read':
      return { results: schemaEntityRead(sandbox.data, payload) };
    case 'schema_field_read':
      return { results: schemaFieldRead(sandbox.data, payload) };
    case 'schema_field_create':
      return { results: schemaFieldCreate(sandbox, actor, payload) };
    case 'schema_field_update':
      return { results: schemaFieldUpdate(sandbox, actor, payload) };
    case 'schema_field_delete':
      return { results: schemaFieldDelete(sandbox, actor, payload) };
    case 'get_session_token': {
      const token = randomUUID();
      const user = sandbox.data.find(actor.user);
      if (user !== undefined) sandbox.sessions.set(token, user);
      return { results: { session_id: token } };
    }
    default:
      throw badRequest(`API unknown method '${method}'`);
  }
}

async function handle(sandbox: Sandbox, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { faults, random } = sandbox;
  if (faults.outage) {
    request.raw.socket.destroy();
    return reply.hijack();
  }
  if (faults.latencyMs > 0) await delay(faults.latencyMs);
  if (faults.errorRate > 0 && random() < faults.errorRate) return reply.code(502).send('Bad Gateway');
  let result: Json;
  try {
    result = answer(sandbox, request.body);
  } catch (error) {
    if (!(error instanceof SandboxFault)) throw error;
    result = { exception: true, message: error.message, error_code: error.code };
  }
  if (faults.closeRate > 0 && random() < faults.closeRate) {
    request.raw.socket.destroy();
    return reply.hijack();
  }
  return reply.send(result);
}

/** Writes by itself, `writesPerSecond` on average. @returns what stops it. */
function playTraffic(sandbox: Sandbox): () => void {
  let owed = 0;
  let last = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    owed = Math.min(
      owed + ((now - last) / 1_000) * sandbox.writesPerSecond,
      10 * Math.max(1, sandbox.writesPerSecond),
    );
    last = now;
    while (owed >= 1) {
      playOne(sandbox, sandbox.random);
      owed -= 1;
    }
  }, TRAFFIC_TICK_MS);
  return () => clearInterval(timer);
}

/** Starts a sandbox site. `data` is its inside, for tests that look at the truth. */
export async function startSandboxSite(
  options: SandboxOptions,
): Promise<{ readonly url: string; readonly sandbox: Sandbox; close(): Promise<void> }> {
  const data = new SiteData(options.schema);
  const random = randomFrom(options.seed);
  seedStudio(data, options.scale, random);
  addDisplayColumns(data, { type: 'ApiUser', id: 1 }, wireTime(new Date(BORN)));
  const log: EventLog = new EventLog(data, () => sandbox.faults, random);
  const sandbox: Sandbox = {
    data,
    log,
    sessions: new Map(),
    random,
    seed: options.seed,
    faults: { ...NO_FAULTS, latencyMs: options.latencyMs },
    writesPerSecond: options.writesPerSecond,
  };
  const app: FastifyInstance = fastify({ bodyLimit: BODY_LIMIT_BYTES, keepAliveTimeout: 60_000 });
  app.post('/api3/json', (request, reply) => handle(sandbox, request, reply));
  app.get('/', async (_request, reply) => reply.type('text/html').send('<h1>Sandbox site</h1>'));
  app.get('/page/schema', async (request, reply) => {
    if (sessionOf(sandbox.sessions, request.headers.cookie) === undefined)
      return reply.redirect('/user/login');
    return reply.type('text/javascript; charset=utf-8').send(privateSchemaPage(data.schema));
  });
  app.get('/user/login', async (_request, reply) => reply.type('text/html').send('<h1>Log in</h1>'));
  adminRoutes(app, sandbox);
  const url = await app.listen({ host: options.host, port: options.port });
  const stopTraffic = playTraffic(sandbox);
  return {
    url,
    sandbox,
    close: async () => {
      stopTraffic();
      log.close();
      app.server.closeAllConnections();
      await app.close();
    },
  };
}
