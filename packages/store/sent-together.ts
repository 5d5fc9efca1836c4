/**
 * Waits for statements of one transaction that were sent one after the other without waiting. @throws what the first of
 * them failed with: PostgreSQL refuses those behind it for no reason of their own.
 */
export async function sentTogether<const T extends readonly Promise<unknown>[]>(
  statements: T,
): Promise<{ -readonly [at in keyof T]: Awaited<T[at]> }> {
  const ended = await Promise.allSettled(statements);
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return ended.map((one) => (one.status === 'fulfilled' ? one.value : undefined)) as {
    -readonly [at in keyof T]: Awaited<T[at]>;
  };
}
