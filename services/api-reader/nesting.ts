const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Whether lists and objects of JSON nest deeper than so many levels. Found in the bytes, before anything is made of them:
 * parsing a million levels takes seconds, and code that follows them runs out of stack. Bytes that are not JSON give either answer.
 */
export function nestsDeeperThan(json: Uint8Array, levelsMax: number): boolean {
  // Each level takes two bytes, so nearly all requests are too short to be looked at.
  if (json.length <= 2 * levelsMax) return false;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (isText) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) isText = false;
    } else if (byte === QUOTE) isText = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > levelsMax) return true;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
  }
  return false;
}
