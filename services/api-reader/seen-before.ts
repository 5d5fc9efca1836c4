import { hash, randomBytes } from 'node:crypto';

/** Longer ones are hardly ever seen again, and take long to hash. */
const BYTES_MAX = 32_768;
const SECRET_BYTES = 32;

/**
 * Finds something out about bytes, or remembers what was found out about the same bytes before. A keyed hash stands for
 * them, whose key never leaves what is made here: requests hold passwords.
 * @param max so many are remembered at least, and at most twice as many.
 */
export function seenBefore<T>(find: (bytes: Buffer) => T | null, max: number): (bytes: Buffer) => T | null {
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
    const found = older.get(key) ?? find(bytes);
    if (found === null) return null;
    if (recent.size >= max) {
      older = recent;
      recent = new Map();
    }
    recent.set(key, found);
    return found;
  };
}
