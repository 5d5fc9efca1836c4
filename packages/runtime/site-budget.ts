import { type SharedBudget, sharedBudget } from '@understudy/store/budget/shared-budget';
import { isUnprepared } from '@understudy/store/database';
import type { Logger } from 'pino';
import type { Config } from './config/sections.ts';
import { holderName } from './heartbeat.ts';

/** A service asks seldom and wants its answer soon. */
const SPARE = 1;

/**
 * This process's part of the one budget of requests to the site.
 * @param spare places kept ready, so that the first request of a quiet process need not ask for one.
 */
export function siteBudget(
  config: Pick<Config, 'site' | 'database'>,
  service: string,
  log: Logger,
  spare: number = SPARE,
): SharedBudget {
  return sharedBudget({
    databaseUrl: config.database.url,
    holder: `${service} ${holderName()}`,
    concurrency: config.site.concurrency,
    ratePerSecond: config.site.ratePerSecond,
    spare,
    onChange: (state, error) => {
      if (state === 'shared') log.info('the budget of requests is shared with the other processes again');
      else if (isUnprepared(error)) log.info('the budget of requests is shared once its tables are made');
      else
        log.warn(
          { err: error },
          'the budget of requests cannot be shared; this process takes a small part of it',
        );
    },
  });
}
