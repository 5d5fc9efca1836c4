/** Something that the person who started it can put right; it is shown without a stack. */
export class DevFailure extends Error {
  override readonly name = 'DevFailure';
}
