/** Every queue. Add one here and it is on the dashboards at once. */
export const QUEUE_NAMES = ['events', 'refresh', 'scan', 'reprocess'] as const;
export type QueueName = (typeof QUEUE_NAMES)[number];
