import { Redis } from 'ioredis';
import { DevFailure } from './failure.ts';

/** Looks whether Redis can be used. @throws DevFailure saying why not. */
export async function assertQueue(url: string): Promise<void> {
  if (!/^rediss?:/.test(url)) return;
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  client.on('error', () => {
    // The call below fails with the reason.
  });
  try {
    await client.connect();
    await client.ping();
  } catch (cause) {
    const { host } = new URL(url);
    throw new DevFailure(
      `Redis at ${host} cannot be used: ${cause instanceof Error ? cause.message : cause}`,
      {
        cause,
      },
    );
  } finally {
    client.disconnect();
  }
}
