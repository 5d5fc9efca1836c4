/**
 * A process that was started with another site's address has taken the database over. What is asked of the site before
 * must not get into the replica of this one, nor be answered from it.
 */
export class OtherSite extends Error {
  override readonly name = 'OtherSite';
}

/**
 * @param ours the site that this process works with. @param held whose replica the database holds; null: nobody's yet.
 * @throws OtherSite
 */
export function refuseOtherSite(ours: string, held: string | null): void {
  if (held === null || held === ours) return;
  throw new OtherSite(
    `the database holds the replica of ${held}, not of ${ours}: give all services one site.url, or each site a database`,
  );
}
