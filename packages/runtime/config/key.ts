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

/** Free text. */
export function text(initial: string, doc: string): Key<string> {
  return { schema: z.coerce.string(), initial, doc, secret: false };
}

/** Text that never appears in a log or in `--help`. */
export function secret(initial: string, doc: string): Key<string> {
  return { schema: z.coerce.string(), initial, doc, secret: true };
}

/** A file that comes with the project, unless another is given: then its path, from the folder the process starts in. */
export function shippedFile(initial: string, doc: string): Key<string> {
  const schema = z
    .string()
    .transform((path) =>
      path === initial ? fileURLToPath(new URL(`../../../${initial}`, import.meta.url)) : path,
    );
  return { schema, initial, doc, secret: false };
}

/** An http or https address, or empty. */
export function httpAddress(initial: string, doc: string): Key<string> {
  const schema = z
    .string()
    .transform((value) => value.replace(/\/+$/, ''))
    .refine(
      (value) => value === '' || /^https?:\/\/[^/\s]+/.test(value),
      'must be an http:// or https:// address',
    );
  return { schema, initial, doc, secret: false };
}

/** A connection address that carries a password: one of the given schemes, or empty. */
export function connectionAddress(initial: string, schemes: readonly string[], doc: string): Key<string> {
  const schema = z
    .string()
    .refine(
      (value) => value === '' || schemes.some((scheme) => value.startsWith(`${scheme}://`)),
      `must start with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
    );
  return { schema, initial, doc, secret: true };
}

/** A whole number within bounds (both inclusive). */
export function integer(
  initial: number,
  bounds: { readonly min: number; readonly max: number },
  doc: string,
): Key<number> {
  const schema = z
    .union([z.number(), z.string().regex(/^-?\d+$/, 'must be a whole number')])
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
    .union([z.number(), z.string().regex(/^-?\d+(\.\d+)?$/, 'must be a number')])
    .transform(Number)
    .pipe(z.number().min(bounds.min).max(bounds.max));
  return { schema, initial, doc, secret: false };
}

/** true or false. */
export function flag(initial: boolean, doc: string): Key<boolean> {
  const schema = z.union([
    z.boolean(),
    z
      .enum(['true', 'false', '1', '0', 'yes', 'no'])
      .transform((value) => ['true', '1', 'yes'].includes(value)),
  ]);
  return { schema, initial, doc, secret: false };
}

/** One of some words. */
export function choice<const T extends string>(initial: T, words: readonly [T, ...T[]], doc: string): Key<T> {
  return { schema: z.enum(words) as unknown as z.ZodType<T>, initial, doc, secret: false };
}

/** A list of words: a YAML list, or text with commas. */
export function words(initial: readonly string[], doc: string): Key<readonly string[]> {
  const schema = z.union([
    z.array(z.string()),
    z.string().transform((value) =>
      value
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
    ),
  ]);
  return { schema, initial, doc, secret: false };
}
