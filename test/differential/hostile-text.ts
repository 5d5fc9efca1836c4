import fc from 'fast-check';

/** Text that SQL, JSON, LIKE patterns, case rules and collations are known to stumble over. */
export const HOSTILE_TEXTS = [
  '%',
  '_',
  '%_%',
  '\\',
  '\\\\',
  "'",
  "''",
  '"',
  `it's "quoted"`,
  "'; drop table site.shot; --",
  "' or '1'='1",
  '$1',
  ':name',
  '?',
  "E'\\x41'",
  '/* x */',
  'a<b',
  '&lt;',
  '&amp;lt;',
  '{"type":"Shot"}',
  '[]',
  'null',
  'é',
  'É',
  'e\u0301',
  'ß',
  'SS',
  'ẞ',
  'İ',
  'i\u0307',
  'ı',
  'I',
  '\u212a',
  'Å',
  '\u212b',
  'Σ',
  'ΑΣ',
  'ας',
  'σ',
  'Ǆ',
  'ﬁ',
  '😀',
  '𐐀',
  '日本語',
  'עברית',
  'a b',
  'a\u00a0b',
  'a\u200bb',
  'line\nbreak',
  'tab\there',
  '\u007f',
  '\ufeffbom',
  'A',
  'a',
  'Z',
  '0',
  '10',
  '9',
  'sh_010',
  'SH_010',
  'sh-010',
  'sh 010',
  '-',
  'constructor',
  '__proto__',
] as const;

/** What only filters hold: text that a site keeps never, or writes in another way. */
const ONLY_ASKED = ['', ' ', '<', '&lt;', 'a<b', '\0', 'a\0b', '\ud83d', '\ude00'] as const;

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<string>(...HOSTILE_TEXTS) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom<string>(...HOSTILE_TEXTS), fc.constantFrom<string>(...HOSTILE_TEXTS))
      .map(([a, b]) => a + b),
  },
);

/** Text to ask for. */
export const askedText: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: hostileText },
  { weight: 2, arbitrary: fc.constantFrom<string>(...ONLY_ASKED) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
);
