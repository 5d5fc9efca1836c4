import type { Socket } from 'node:net';
import { type FastifyInstance, fastify } from 'fastify';
import { adminRoutes } from './admin.ts';
import { handleApi } from './api.ts';
import { addDisplayColumns } from './display-columns.ts';
import { EventLog, wireTime } from './event-log.ts';
import { SeededHistory } from './event-table.ts';
import { type Faults, NO_FAULTS } from './faults.ts';
import { Journal, type JournalLimits, journalHead } from './journal.ts';
import { fileRoutes } from './media/file-routes.ts';
import { MediaStore } from './media/media-store.ts';
import { mediaValues } from './media/media-values.ts';
import { Thumbnails } from './media/thumbnails.ts';
import { uploadRoutes } from './media/upload-routes.ts';
import { misbehave } from './misbehave.ts';
import { privateSchemaPage } from './private-schema.ts';
import { type Random, randomFrom } from './random.ts';
import { accessTokenRoute } from './rest/access-token.ts';
import type { SandboxSchema } from './sandbox-schema.ts';
import { BORN, seedStudio } from './seed.ts';
import { Sessions } from './sessions.ts';
import { SiteData } from './site-data.ts';
import type { MediaValues } from './site-view.ts';
import { playOne } from './traffic/play.ts';
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
  /** Keeps what changes, and uploaded files beside it, for the next start; null: nothing is kept. */
  readonly stateFile?: string | null;
  readonly journalLimits?: JournalLimits;
  /** Whether the event log tells how the seeded studio came to be. */
  readonly history?: boolean;
  /** How it misbehaves from the start. */
  readonly faults?: Partial<Faults>;
}

/** The state that its routes share. */
export interface Sandbox {
  readonly data: SiteData;
  readonly log: EventLog;
  readonly sessions: Sessions;
  readonly random: Random;
  readonly media: MediaStore;
  readonly thumbnails: Thumbnails;
  /** How image and url values are shown. */
  readonly mediaValues: (imagesAsUrls: boolean) => MediaValues;
  /** Where it listens, without a slash at the end. */
  url: string;
  readonly seed: number;
  faults: Faults;
  writesPerSecond: number;
}

const BODY_LIMIT_BYTES = 10_000_000;
/** A client that uploads for minutes keeps its other connection open meanwhile. */
const KEEP_ALIVE_MS = 600_000;
const TRAFFIC_TICK_MS = 50;

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

/** A sandbox site that runs. */
export interface SandboxSite {
  readonly url: string;
  readonly sandbox: Sandbox;
  /** Where an older journal was put that did not fit, if there was one. */
  readonly putAside: string | null;
  close(): Promise<void>;
}

/** Starts a sandbox site. `data` is its inside, for tests that look at the truth. */
export async function startSandboxSite(options: SandboxOptions): Promise<SandboxSite> {
  const data = new SiteData(options.schema);
  const random = randomFrom(options.seed);
  const history = options.history === true ? new SeededHistory({ type: 'ApiUser', id: 1 }) : null;
  const head = journalHead(options.schema, options.seed, options.scale, history !== null);
  seedStudio(data, options.scale, random, history);
  if (history !== null) {
    data.events.seed(history);
    data.takeIds('EventLogEntry', history.size);
  }
  addDisplayColumns(data, { type: 'ApiUser', id: 1 }, wireTime(new Date(BORN)));
  const { stateFile = null } = options;
  const opened = stateFile === null ? null : await Journal.open(stateFile, data, head, options.journalLimits);
  const log: EventLog = new EventLog(data, () => sandbox.faults, random);
  const media = await MediaStore.open(stateFile === null ? null : `${stateFile}.media`);
  const faults = (): Faults => sandbox.faults;
  const thumbnails = new Thumbnails(() => sandbox.faults.thumbnailMs);
  const mediaSite = { data, store: media, faults, origin: () => sandbox.url, pending: thumbnails.pending };
  const sandbox: Sandbox = {
    data,
    log,
    sessions: new Sessions(() => sandbox.faults.sessionLifetimeMs),
    random,
    media,
    thumbnails,
    mediaValues: (imagesAsUrls) => mediaValues(mediaSite, imagesAsUrls),
    url: '',
    seed: options.seed,
    faults: { ...NO_FAULTS, latencyMs: options.latencyMs, ...options.faults },
    writesPerSecond: options.writesPerSecond,
  };
  const app: FastifyInstance = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Names are looked up as own properties only; looking for these beforehand runs out of stack in deep bodies.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
  });
  let isClosing = false;
  // One that was made just before is accepted just after all were closed.
  app.server.on('connection', (socket: Socket) => {
    if (isClosing) socket.destroy();
  });
  misbehave(app, sandbox);
  app.post('/api3/json', (request, reply) => handleApi(sandbox, request, reply));
  app.get('/', async (_request, reply) => reply.type('text/html').send('<h1>Sandbox site</h1>'));
  app.get('/page/schema', async (request, reply) => {
    if (sessionOf(sandbox.sessions, request.headers.cookie) === undefined)
      return reply.redirect('/user/login');
    return reply.type('text/javascript; charset=utf-8').send(privateSchemaPage(data.schema));
  });
  app.get('/user/login', async (_request, reply) => reply.type('text/html').send('<h1>Log in</h1>'));
  uploadRoutes(app, sandbox);
  fileRoutes(app, sandbox);
  accessTokenRoute(app, sandbox);
  adminRoutes(app, sandbox);
  const url = await app.listen({ host: options.host, port: options.port });
  sandbox.url = url;
  const stopTraffic = playTraffic(sandbox);
  return {
    url,
    sandbox,
    putAside: opened?.putAside ?? null,
    close: async () => {
      stopTraffic();
      log.close();
      thumbnails.close();
      isClosing = true;
      app.server.closeAllConnections();
      await app.close();
      await media.close();
      await opened?.journal.close();
    },
  };
}
