import type { Json } from './entity.ts';

/**
 * Stands in kept JSON for what PostgreSQL keeps in no text: NUL, and halves of surrogate pairs. A noncharacter, which no
 * text that is exchanged has: what holds it is not what the site gave, and is the site's to show.
 */
export const UNKEPT = '\ufdd0';

/** Whether PostgreSQL, and UTF-8 on the wire, carry a text as it is. */
export function isKeptText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

function isKept(value: Json): boolean {
  if (typeof value === 'string') return isKeptText(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isKept);
  return Object.entries(value).every(([key, item]) => isKeptText(key) && isKept(item));
}

const keptText = (text: string): string => text.toWellFormed().replaceAll(/[\0\ufffd]/g, UNKEPT);

function replaced(value: Json): Json {
  if (typeof value === 'string') return isKeptText(value) ? value : keptText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(replaced);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [isKeptText(key) ? key : keptText(key), replaced(item)]),
  );
}

/** JSON as PostgreSQL can keep it: as it is, or with `UNKEPT` in it. */
export function keptJson<T extends Json>(value: T): T {
  return isKept(value) ? value : (replaced(value) as T);
}
