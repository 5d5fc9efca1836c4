import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** One configuration key: what it is for, what it may be, whether it must stay out of logs and help. */
export interface Key<T> {
  readonly schema: z.ZodType<T>;
  readonly initial: T;
  readonly doc: string;
  readonly secret: boolean;
}

/** A section of the configuration: key name → key. */
export type Section = Readonly<Record<string, Key<unknown>>>;

/** A number, a date or a mapping of YAML is no text: written out again it need not be what was meant. */
const anyText = z.string('must be text; in YAML, put it in quotes');

/** Free text. */
export function text(initial: string, doc: string): Key<string> {
  return { schema: anyText, initial, doc, secret: false };
}

/** Text that never appears in a log or in `--help`. */
export function secret(initial: string, doc: string): Key<string> {
  return { schema: anyText, initial, doc, secret: true };
}

/** A file that comes with the project, unless another is given: then its path, from the folder the process starts in. */
export function shippedFile(initial: string, doc: string): Key<string> {
  const schema = anyText.transform((path) =>
    path === initial ? fileURLToPath(new URL(`../../../${initial}`, import.meta.url)) : path,
  );
  return { schema, initial, doc, secret: false };
}

/** An http or https address without credentials, which would be shown with it, and without a query; or empty. */
export function httpAddress(initial: string, doc: string): Key<string> {
  const schema = anyText
    .transform((value) => value.replace(/\/+$/, ''))
    .refine(
      (value) => value === '' || isPlainHttpAddress(value),
      'must be an http:// or https:// address without user, password, query or fragment',
    );
  return { schema, initial, doc, secret: false };
}

function isPlainHttpAddress(value: string): boolean {
  if (!/^https?:\/\/[^/\s]/.test(value) || !URL.canParse(value)) return false;
  const { username, password, search, hash } = new URL(value);
  return username + password + search + hash === '';
}

/** A connection address that carries a password: one of the given schemes, or empty. */
export function connectionAddress(initial: string, schemes: readonly string[], doc: string): Key<string> {
  const schema = anyText
    .refine((value) => value === '' || schemes.some((scheme) => value.startsWith(`${scheme}://`)), {
      error: `must start with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
      abort: true,
    })
    .refine(
      (value) => value === '' || isDecodable(value),
      'is not an address; write # / ? @ % in a password as %23 %2F %3F %40 %25',
    );
  return { schema, initial, doc, secret: true };
}

/** Whether what connects can take the address apart; what it throws otherwise would show the password. */
function isDecodable(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { username, password, pathname } = new URL(address);
  try {
    decodeURIComponent(username + password + pathname);
    return true;
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}

/** A whole number within bounds (both inclusive). */
export function integer(
  initial: number,
  bounds: { readonly min: number; readonly max: number },
  doc: string,
): Key<number> {
  const schema = z
    .union([z.number(), z.string().regex(/^-?\d+$/)], 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(bounds.min).max(bounds.max));
  return { schema, initial, doc, secret: false };
}

/** Any number within bounds (both inclusive). */
export function decimal(
  initial: number,
  bounds: { readonly min: number; readonly max: number },
  doc: string,
): Key<number> {
  const schema = z
    .union([z.number(), z.string().regex(/^-?\d+(\.\d+)?$/)], 'must be a number')
    .transform(Number)
    .pipe(z.number().min(bounds.min).max(bounds.max));
  return { schema, initial, doc, secret: false };
}

/** true or false. */
export function flag(initial: boolean, doc: string): Key<boolean> {
  const schema = z.union(
    [
      z.boolean(),
      z
        .enum(['true', 'false', '1', '0', 'yes', 'no'])
        .transform((value) => ['true', '1', 'yes'].includes(value)),
    ],
    'must be true or false',
  );
  return { schema, initial, doc, secret: false };
}

/** One of some words. */
export function choice<const T extends string>(initial: T, words: readonly [T, ...T[]], doc: string): Key<T> {
  return { schema: z.enum(words) as unknown as z.ZodType<T>, initial, doc, secret: false };
}

/** A list of words: a YAML list, or text with commas. */
export function words(initial: readonly string[], doc: string): Key<readonly string[]> {
  const schema = z.union(
    [
      z.array(z.string()),
      z.string().transform((value) =>
        value
          .split(',')
          .map((word) => word.trim())
          .filter((word) => word !== ''),
      ),
    ],
    'must be a list of words, or words with commas between them',
  );
  return { schema, initial, doc, secret: false };
}
