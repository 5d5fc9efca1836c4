import type { CachedSchema } from '@understudy/schema/cached-schema';
import { readCachedSchemaFile } from '@understudy/schema/cached-schema-file';
import { fitToSite, type SchemaDifference } from '@understudy/schema/difference';
import type { SiteClient } from '@understudy/site-client/site-client';
import { prepareUpdateLog } from '@understudy/store/data-updates';
import type { Database, DatabaseOptions } from '@understudy/store/database';
import type { Origin, Source } from '@understudy/store/merge/origin';
import { migrate } from '@understudy/store/migrate';
import { atEpoch, SchemaMoved } from '@understudy/store/schema-epoch';
import { syncEntityTables } from '@understudy/store/sync-entity-tables';
import { followedSchema, readSnapshot, type SchemaSnapshot } from './followed-schema.ts';
import { firstGeneration } from './move-generation.ts';
import { refuseOtherSite } from './other-site.ts';
import { readSiteSchema } from './site-schema.ts';

/** What everybody who fills the replica works with: what is followed at one epoch. */
export interface Replica {
  /** Each transaction holds the epoch, so that nothing is merged that leaves a followed field out. */
  readonly db: Database;
  readonly site: SiteClient;
  readonly siteUrl: string;
  /** What is stored: all that the generations keep and the site has. */
  readonly schema: CachedSchema;
  readonly epoch: number;
  /** The replica as it is followed now. */
  renew(): Promise<Replica>;
}

/** What merges are told of where their rows come from. */
export function originOf({ db }: Pick<Replica, 'db'>, source: Source): Origin {
  return { source, logged: db.logsUpdates };
}

const RENEWALS_MAX = 20;

/**
 * Does work on a replica. When what is followed has changed meanwhile, the work is done again on the newer replica:
 * what was fetched by the old schema lacks fields.
 * @throws SchemaMoved when it changes faster than the work is done, and whatever the work throws.
 */
export async function onReplica<T>(replica: Replica, work: (replica: Replica) => Promise<T>): Promise<T> {
  let current = replica;
  for (let renewals = 0; ; renewals += 1) {
    try {
      return await work(current);
    } catch (error) {
      if (!(error instanceof SchemaMoved) || renewals >= RENEWALS_MAX) throw error;
      current = await current.renew();
    }
  }
}

function replicaFrom(db: Database, site: SiteClient, snapshot: SchemaSnapshot): Replica {
  if (snapshot.state === null) throw new Error('the replica was never prepared');
  const { epoch, siteUrl } = snapshot.state;
  return {
    db: atEpoch(db, epoch),
    site,
    siteUrl,
    schema: followedSchema(snapshot),
    epoch,
    renew: () => readReplica(db, site, siteUrl),
  };
}

/**
 * The replica as it is followed now.
 * @param siteUrl of the site that is asked; default: whichever it is a replica of.
 * @throws OtherSite
 */
export async function readReplica(db: Database, site: SiteClient, siteUrl?: string): Promise<Replica> {
  const snapshot = await db.snapshot(readSnapshot);
  if (siteUrl !== undefined) refuseOtherSite(siteUrl, snapshot.state?.siteUrl ?? null);
  return replicaFrom(db, site, snapshot);
}

/**
 * Makes the control tables, and with the first start of all the first generation from the schema file; later ones come
 * from `understudy schema apply`, whatever the file says. Makes what is missing of the entity tables.
 * @throws SiteUnavailable when the site is away and was never seen, CachedSchemaError for a first file that is wrong.
 */
export async function prepareReplica(options: {
  readonly db: Database;
  readonly databaseOptions: DatabaseOptions;
  readonly site: SiteClient;
  readonly siteUrl: string;
  readonly schemaFile: string;
}): Promise<Replica & { readonly differences: readonly SchemaDifference[] }> {
  const { db, site, siteUrl, schemaFile } = options;
  await migrate(db);
  await prepareUpdateLog(db);
  let snapshot = await db.snapshot(readSnapshot);
  if (snapshot.state === null || snapshot.state.siteUrl !== siteUrl) {
    const declared = await readCachedSchemaFile(schemaFile);
    const reading = await readSiteSchema(options, { priority: 'poll' });
    await firstGeneration({ ...options, declared, reading, source: schemaFile });
    snapshot = await db.snapshot(readSnapshot);
  }
  const replica = replicaFrom(db, site, snapshot);
  await syncEntityTables(db, options.databaseOptions, replica.schema);
  const newest = snapshot.generations.find((generation) => generation.state !== 'retired');
  const differences =
    newest === undefined || snapshot.state === null
      ? []
      : fitToSite(newest.declared, snapshot.state.siteSchema).differences;
  return { ...replica, differences };
}

/** The newest replica that a process knows, for all its work. */
export interface ReplicaSource {
  readonly current: Replica;
  /** Reads what is followed again if another epoch has begun. @returns whether one had. */
  renew(): Promise<boolean>;
}

export function replicaSource(first: Replica): ReplicaSource {
  let current = first;
  return {
    get current() {
      return current;
    },
    renew: async () => {
      const newer = await current.renew();
      const isNewer = newer.epoch !== current.epoch;
      // The schema object stays the same within an epoch: what was derived from it is remembered by it.
      if (isNewer) current = newer;
      return isNewer;
    },
  };
}
