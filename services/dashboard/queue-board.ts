import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { IServerAdapter } from '@bull-board/api/typings/app';
import { FastifyAdapter } from '@bull-board/fastify';
import { allQueues, type QueueBackend } from '@understudy/pipeline/queue-backend';
import type { FastifyInstance } from 'fastify';

export const BOARD_PATH = '/queues';

/**
 * What may be changed from the pages: jobs may be tried again. Jobs can always be made again from PostgreSQL, so nobody
 * needs to add, edit or remove one here, and a queue paused and forgotten would let the replica fall behind.
 */
const ALLOWED_CHANGES: ReadonlySet<string> = new Set([
  '/api/queues/:queueName/retry/:queueStatus',
  '/api/queues/:queueName/:jobId/retry',
  '/api/queues/:queueName/:jobId/promote',
  '/api/queues/:queueName/promote',
]);

const DESCRIPTIONS = {
  events: 'Batches of the site’s events, to be applied',
  refresh: 'Entities in doubt, to be fetched again',
  scan: 'Chunks of full and interval scans',
  reprocess: 'Retirements to be compared with the site, stored events to be applied again',
} as const;

/**
 * Serves bull-board over every queue under `BOARD_PATH`.
 * @param whyAway why the queue cannot be asked, or null: a Redis that is away would keep every request waiting.
 */
export function queueBoard(
  app: FastifyInstance,
  backend: QueueBackend,
  whyAway: () => Promise<string | null>,
): void {
  let shown: readonly unknown[] = allQueues(backend).map((queue) => queue.bull);
  const adapters = (): BullMQAdapter[] =>
    allQueues(backend).map(
      (queue) =>
        new BullMQAdapter(queue.bull as never, {
          allowRetries: true,
          description: DESCRIPTIONS[queue.name],
        }),
    );
  const server = new FastifyAdapter().setBasePath(BOARD_PATH);
  const board = createBullBoard({
    queues: adapters(),
    // Its types come from another patch release of the same package.
    serverAdapter: server as unknown as IServerAdapter,
    options: {
      uiConfig: {
        boardTitle: 'Understudy queues',
        hideDocsLink: true,
        sortQueues: false,
        miscLinks: [{ text: 'Status', url: '/' }],
      },
      handlerHooks: {
        before: async ({ method, route }) => {
          if (method !== 'get' && !ALLOWED_CHANGES.has(route))
            return {
              allow: false,
              status: 403,
              message: 'Here jobs can be tried again, and nothing else changed.',
            };
          const reason = await whyAway();
          return reason === null
            ? undefined
            : { allow: false, status: 500, message: `The queue is away: ${reason}` };
        },
      },
    },
  });
  app.register(server.registerPlugin(), { prefix: BOARD_PATH });
  // A queue whose database was away at its first use is another object since.
  app.addHook('preHandler', async (request) => {
    if (!request.url.startsWith(BOARD_PATH)) return;
    const now = allQueues(backend).map((queue) => queue.bull);
    if (now.every((queue, index) => queue === shown[index])) return;
    shown = now;
    board.replaceQueues(adapters());
  });
}
