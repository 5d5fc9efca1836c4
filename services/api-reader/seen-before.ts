import { hash, randomBytes } from 'node:crypto';

/** Longer ones are hardly ever seen again, and take long to hash. */
const BYTES_MAX = 32_768;
const SECRET_BYTES = 32;

/**
 * Finds something out about bytes, or remembers what was found out about the same bytes before. A keyed hash stands for
 * them, whose key never leaves what is made here: requests hold passwords.
 * @param isKept whether it is to be remembered.
 * @param max so many are remembered at least, and at most twice as many.
 * @returns what gives for equal bytes the same object, as long as it is remembered.
 */
export function seenBefore<T>(
  find: (bytes: Buffer) => T,
  isKept: (found: T, bytes: Buffer) => boolean,
  max: number,
): (bytes: Buffer) => T {
  const room = Buffer.allocUnsafeSlow(SECRET_BYTES + BYTES_MAX);
  randomBytes(SECRET_BYTES).copy(room);
  let recent = new Map<string, T>();
  let older: ReadonlyMap<string, T> = new Map();
  return (bytes) => {
    if (bytes.length > BYTES_MAX) return find(bytes);
    room.set(bytes, SECRET_BYTES);
    const key = hash('sha256', room.subarray(0, SECRET_BYTES + bytes.length), 'base64');
    const known = recent.get(key);
    if (known !== undefined) return known;
    const before = older.get(key);
    const found = before ?? find(bytes);
    if (before === undefined && !isKept(found, bytes)) return found;
    if (recent.size >= max) {
      older = recent;
      recent = new Map();
    }
    recent.set(key, found);
    return found;
  };
}
