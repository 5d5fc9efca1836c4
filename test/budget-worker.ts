import { PRIORITIES, type Priority } from '@understudy/site-client/budget';
import { createSiteClient } from '@understudy/site-client/site-client';
import { sharedBudget } from '@understudy/store/budget/shared-budget';

/**
 * A process that asks the site again and again under the shared budget, for its test.
 * Arguments: name, site, database, priority, requests at once, limit at once, limit a second.
 */
const [name = '', url = '', databaseUrl = '', priority = '', atOnce, concurrency, ratePerSecond] =
  process.argv.slice(2);
if (!(PRIORITIES as readonly string[]).includes(priority)) throw new Error(`no priority ${priority}`);
const budget = sharedBudget({
  databaseUrl,
  holder: name,
  concurrency: Number(concurrency),
  ratePerSecond: Number(ratePerSecond),
  spare: priority === 'client' ? 1 : 0,
});
const site = createSiteClient({
  url,
  credentials: { scriptName: 's', scriptKey: 'k' },
  budget,
  timeoutMs: 30_000,
  userAgent: name,
});
await Promise.all(
  Array.from({ length: Number(atOnce) }, async () => {
    for (;;) await site.info({ priority: priority as Priority });
  }),
);
