import {
  choice,
  connectionAddress,
  decimal,
  flag,
  httpAddress,
  integer,
  type Key,
  type Section,
  secret,
  shippedFile,
  text,
  words,
} from './key.ts';

const PORT = { min: 0, max: 65_535 };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Every configuration key of every service, with its default and what it means. Add a key here and it is in the
 * file, the environment, the flags and `--help` at once.
 */
export const SECTIONS = {
  site: {
    url: httpAddress('http://127.0.0.1:8020', 'the hosted site that is followed'),
    scriptName: text('', 'name of the script that Understudy reads the site with'),
    scriptKey: secret('', 'that script’s key'),
    timeoutMs: integer(60_000, { min: 100, max: HOUR }, 'how long one request to the site may take'),
    concurrency: integer(8, { min: 1, max: 256 }, 'requests to the site at once, of all processes together'),
    ratePerSecond: decimal(
      0,
      { min: 0, max: 10_000 },
      'requests to the site a second, of all processes; 0: no limit',
    ),
  },
  database: {
    url: connectionAddress(
      '',
      ['postgres', 'postgresql'],
      'PostgreSQL that holds the replica (DATABASE_URL)',
    ),
    poolSize: integer(10, { min: 1, max: 500 }, 'connections to PostgreSQL of one process'),
  },
  queue: {
    url: connectionAddress(
      '',
      ['redis', 'rediss', 'postgres', 'postgresql'],
      'where jobs are queued (QUEUE_URL): redis:// or postgres://; empty: the database',
    ),
  },
  schema: {
    file: shippedFile(
      'schema/default.yaml',
      'the part of the site’s schema that is kept, at the very first start; later: understudy schema apply',
    ),
    autoApply: flag(
      false,
      'roll out a generation by itself when the site’s schema has changed: data types, fields made and deleted',
    ),
    checkMs: integer(
      5 * MINUTE,
      { min: 500, max: DAY },
      'time between two comparisons with the site’s schema, besides those that events ask for',
    ),
    retiredKeepMs: integer(
      HOUR,
      { min: 0, max: 30 * DAY },
      'how long a generation that was replaced is still followed, so that rolling back to it takes no scan',
    ),
  },
  log: {
    level: choice('info', ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'least level that is logged'),
    pretty: flag(false, 'lines for people instead of JSON; always so in a terminal'),
  },
  poller: {
    intervalMs: integer(3_000, { min: 50, max: HOUR }, 'time between two polls of the event log'),
    batchSize: integer(500, { min: 1, max: 5_000 }, 'events read by one poll'),
    gapTimeoutMs: integer(5 * MINUTE, { min: 1_000, max: DAY }, 'how long a missing event id is asked for'),
    leaseMs: integer(10_000, { min: 1_000, max: HOUR }, 'how long a silent leader keeps its lease'),
    queueDepthMax: integer(
      1_000,
      { min: 1, max: 1_000_000 },
      'event jobs waiting above which polling pauses',
    ),
    sweepAfterMs: integer(
      15_000,
      { min: 500, max: HOUR },
      'age at which a stored, unapplied event is enqueued again',
    ),
    eventKeepMs: integer(
      200 * DAY,
      { min: MINUTE, max: 100 * 365 * DAY },
      'how long applied events are kept in the stored log',
    ),
  },
  applier: {
    concurrency: integer(4, { min: 1, max: 64 }, 'jobs worked on at once by one process'),
    refreshPageSize: integer(200, { min: 1, max: 5_000 }, 'entities fetched by one refresh'),
  },
  scanner: {
    concurrency: integer(3, { min: 1, max: 64 }, 'chunks scanned at once by one process'),
    chunkSize: integer(5_000, { min: 1, max: 1_000_000 }, 'ids in one chunk of a full scan'),
    pageSize: integer(500, { min: 1, max: 5_000 }, 'entities read by one request'),
    intervalMs: integer(5 * MINUTE, { min: 1_000, max: 7 * DAY }, 'time between two interval scans'),
    overlapMs: integer(
      10 * MINUTE,
      { min: 0, max: 7 * DAY },
      'how far an interval scan reaches back over the last one',
    ),
    wholeIntervalMs: integer(
      HOUR,
      { min: 1_000, max: 7 * DAY },
      'time between two interval scans that read all rows of the types that have no updated_at',
    ),
    scanKeepMs: integer(7 * DAY, { min: MINUTE, max: 365 * DAY }, 'how long finished scans are kept'),
  },
  reprocessor: {
    concurrency: integer(2, { min: 1, max: 64 }, 'chunks reprocessed at once by one process'),
    intervalMs: integer(
      DAY,
      { min: 0, max: 30 * DAY },
      'time between two comparisons of who is retired; 0: only when it is asked for',
    ),
    chunkSize: integer(20_000, { min: 1, max: 1_000_000 }, 'ids compared by one job'),
  },
  audit: {
    intervalMs: integer(
      MINUTE,
      { min: 0, max: DAY },
      'time between two comparisons of a sample of entities with the site; 0: none',
    ),
    sampleSize: integer(25, { min: 1, max: 500 }, 'ids compared at a time'),
    shadowShare: decimal(
      0.001,
      { min: 0, max: 1 },
      'share of reads answered from the replica that are asked of the site as well, in the background',
    ),
    keepDays: integer(30, { min: 1, max: 3_650 }, 'how long what was found is kept'),
  },
  history: {
    enabled: flag(true, 'every change that the replica makes to itself is logged'),
    keepDays: integer(60, { min: 1, max: 3_650 }, 'how long that log is kept'),
  },
  reader: {
    host: text('127.0.0.1', 'address that the reader listens on'),
    port: integer(8010, PORT, 'port that the reader listens on'),
    answersBytes: integer(
      32_000_000,
      { min: 0, max: Number.MAX_SAFE_INTEGER },
      'memory for answers that are asked for again and again; 0: none are kept',
    ),
    maxLagMs: integer(60_000, { min: 0, max: 30 * DAY }, 'staleness above which reads pass through'),
    generation: integer(
      0,
      { min: 0, max: Number.MAX_SAFE_INTEGER },
      'generation of the schema that this reader answers from; 0: the one that is served',
    ),
    plainRequests: flag(
      true,
      'whether calls of the JSON API are taken off their connections without Node’s HTTP server where they are written as tools write them; off: all are taken by it, which takes the reader half as much time again for a small read',
    ),
    bodyLimitBytes: integer(10_000_000, { min: 1_000, max: 1_000_000_000 }, 'largest JSON request'),
    slowBodyMs: integer(
      30_000,
      { min: 100, max: HOUR },
      'a request whose body brings less than 1 kB a second for so long is given up',
    ),
    authTtlMs: integer(
      MINUTE,
      { min: 0, max: DAY },
      'how long a credential that the site accepted is believed',
    ),
    authGraceMs: integer(HOUR, { min: 0, max: 7 * DAY }, 'how long it is believed while the site is away'),
    localRuleSets: words(
      ['api_admin'],
      'codes of the permission rule sets, of scripts and of people, that may see everything on the site and so are answered from the replica; the script that fills it always is',
    ),
    allowedSites: words([], 'hosts that next= and CONNECT may lead to, besides the site'),
    tlsCertificateFile: text(
      '',
      'certificate (PEM, with its chain) for the site’s name, trusted by the studio’s machines: CONNECT to the site is then answered from the replica; empty: tunnelled to the site',
    ),
    tlsKeyFile: text('', 'private key (PEM) of that certificate'),
    publicUrl: httpAddress(
      '',
      'address that links to thumbnails lead to, where clients reach the reader through another one, for instance a proxy with https; empty: the one that each request came by',
    ),
    mediaFolder: text('', 'folder of cached thumbnails; empty: none are cached'),
    mediaBytes: integer(1_000_000_000, { min: 0, max: Number.MAX_SAFE_INTEGER }, 'size limit of that folder'),
  },
  dashboard: {
    host: text('127.0.0.1', 'address that the dashboard listens on'),
    port: integer(8030, PORT, 'port that the dashboard listens on'),
    password: secret(
      '',
      'password that its pages ask for, whatever the name given with it; empty: none, so who reaches it may retry jobs',
    ),
  },
  sandbox: {
    host: text('127.0.0.1', 'address that the sandbox site listens on'),
    port: integer(8020, PORT, 'port that the sandbox site listens on'),
    schema: shippedFile(
      'schema/sandbox-site.yaml',
      'its schema: YAML of ours, or the JSON of a site’s schema_read',
    ),
    entitySchema: text('', 'with a JSON schema: the JSON of schema_entity_read'),
    scale: integer(2_000, { min: 0, max: 5_000_000 }, 'entities it is seeded with, about'),
    seed: integer(1, { min: 0, max: 2 ** 31 }, 'seed of its studio and its traffic'),
    traffic: decimal(0, { min: 0, max: 1_000 }, 'writes a second that it makes by itself'),
    latencyMs: integer(0, { min: 0, max: 60_000 }, 'time added to each of its answers'),
    stateFile: text('', 'file that keeps its data between starts; empty: none'),
    history: flag(false, 'whether its event log tells how the seeded studio came to be'),
    faults: text('', 'how it misbehaves from the start: JSON, as its admin endpoint takes it'),
  },
  control: {
    secret: secret(
      '',
      'shared secret that signs messages to services (`understudy ctl`); empty: none are taken',
    ),
  },
  health: {
    host: text(
      '127.0.0.1',
      'address of /healthz, /readyz and /metrics of services that serve no HTTP otherwise',
    ),
    port: integer(0, PORT, 'its port; 0: none'),
  },
} as const satisfies Record<string, Section>;

type KeyValue<K> = K extends Key<infer T> ? T : never;

/** The configuration of a process: made once in main, validated, passed down. */
export type Config = {
  readonly [S in keyof typeof SECTIONS]: {
    readonly [K in keyof (typeof SECTIONS)[S]]: KeyValue<(typeof SECTIONS)[S][K]>;
  };
};
