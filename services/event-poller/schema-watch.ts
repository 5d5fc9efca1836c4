import { followSiteChanges, noticeSiteSchema } from '@understudy/pipeline/notice-site-schema';
import type { ReplicaSource } from '@understudy/pipeline/replica';
import type { Config } from '@understudy/runtime/config/sections';
import type { Logger } from '@understudy/runtime/logging';
import type { Database, DatabaseOptions } from '@understudy/store/database';

/** Sees to it that a change of the site's schema is noticed before its consequences are stored. */
export interface SchemaWatch {
  /** To be called before an event of the schema is stored. @throws SiteUnavailable: nothing may be stored then. */
  readonly onEvents: (ids: readonly number[]) => Promise<void>;
  /** Compares from time to time, for changes without events, and rolls out what may go by itself. */
  look(): Promise<void>;
}

/** For the leading poller. */
export function createSchemaWatch(options: {
  readonly db: Database;
  readonly databaseOptions: DatabaseOptions;
  readonly replicas: ReplicaSource;
  readonly config: Pick<Config, 'schema'>;
  readonly log: Logger;
}): SchemaWatch {
  const { db, databaseOptions, replicas, log } = options;
  const { autoApply, checkMs } = options.config.schema;
  let handled: ReadonlySet<number> = new Set();
  let comparedAt = 0;

  const compare = async (): Promise<void> => {
    const { site, siteUrl } = replicas.current;
    const changes = await noticeSiteSchema({ db, site, siteUrl });
    comparedAt = performance.now();
    if (changes.length === 0) return;
    log.warn({ changes: changes.map((one) => one.message) }, 'the site’s schema has changed');
    await replicas.renew();
  };

  return {
    onEvents: async (ids) => {
      // The poll is repeated when what is followed has changed; the events are the same then.
      if (ids.every((id) => handled.has(id))) return;
      await compare();
      handled = new Set(ids);
    },
    look: async () => {
      if (comparedAt === 0 || performance.now() - comparedAt > checkMs) await compare();
      if (!autoApply) return;
      const { site, siteUrl } = replicas.current;
      const id = await followSiteChanges({ db, databaseOptions, site, siteUrl });
      if (id !== null) log.info({ generation: id }, 'a generation that follows the site is rolled out');
    },
  };
}
