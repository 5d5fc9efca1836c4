/** The queue did not answer in time. What it was told may still be done once it is back. */
export class QueueAway extends Error {
  override readonly name = 'QueueAway';
}
