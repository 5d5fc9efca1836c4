import type { SiteRequest } from '@understudy/site-client/site-client';
import { Counter, Histogram, type Registry } from 'prom-client';

const ANSWER_BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const WAIT_BUCKETS_S = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 10, 30, 60, 300];

/**
 * Counts a process's requests to the site.
 * @returns what the site client is to tell of each request.
 */
export function countSiteRequests(registry: Registry): (request: SiteRequest) => void {
  const requests = new Counter({
    name: 'understudy_site_requests_total',
    help: 'Requests to the site, by priority in the budget and by what came of them',
    labelNames: ['priority', 'outcome'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'understudy_site_request_seconds',
    help: 'Time from a request to the end of the site’s answer',
    labelNames: ['priority'],
    buckets: ANSWER_BUCKETS_S,
    registers: [registry],
  });
  const waited = new Histogram({
    name: 'understudy_site_budget_wait_seconds',
    help: 'Time that requests waited for a place in the budget that all processes share',
    labelNames: ['priority'],
    buckets: WAIT_BUCKETS_S,
    registers: [registry],
  });
  return ({ priority, outcome, waitedMs, tookMs }) => {
    requests.inc({ priority, outcome });
    seconds.observe({ priority }, tookMs / 1_000);
    waited.observe({ priority }, waitedMs / 1_000);
  };
}
