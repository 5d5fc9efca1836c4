import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type JournalRecord, parsedLine } from './journal.ts';

/**
 * What of a journal a record replaces: of records with one key the last one counts. Null: each counts. What one record
 * does depends on none of another key, so that leaving earlier ones out changes nothing.
 */
function keyOf(record: JournalRecord): string | null {
  const [kind] = record;
  switch (kind) {
    case 'set':
      return `set ${record[1]} ${record[2]} ${record[3]}`;
    case 'retired':
      return `retired ${record[1]} ${record[2]}`;
    case 'taken':
      return `taken ${record[1]}`;
    case 'purged':
      return 'purged';
    default:
      return null;
  }
}

/** The first line, which is no record, and the records of the first `bytes` bytes of a journal. */
async function* linesOf(path: string, bytes: number): AsyncGenerator<[string, JournalRecord | undefined]> {
  const input = createReadStream(path, { end: bytes - 1 });
  let isFirst = true;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    yield [line, isFirst ? undefined : parsedLine(line)];
    isFirst = false;
  }
}

/**
 * Writes a journal anew that gives the same data when it is replayed, without what later lines have made void: older
 * values, and entries of the event log that are purged.
 * @param bytes how much of it is read; whole lines.
 * @param into where the new one is written, over whatever is there.
 */
export async function compactJournal(path: string, bytes: number, into: string): Promise<void> {
  const last = new Map<string, number>();
  let purgedThrough = 0;
  let number = 0;
  for await (const [, record] of linesOf(path, bytes)) {
    number += 1;
    if (record === undefined) continue;
    const key = keyOf(record);
    if (key !== null) last.set(key, number);
    if (record[0] === 'purged') purgedThrough = Math.max(purgedThrough, record[1]);
  }
  async function* kept(): AsyncGenerator<string> {
    let at = 0;
    for await (const [line, record] of linesOf(path, bytes)) {
      at += 1;
      if (at === 1) yield `${line}\n`;
      if (record === undefined) continue;
      const key = keyOf(record);
      if (key !== null ? last.get(key) !== at : record[0] === 'event' && record[1].id <= purgedThrough)
        continue;
      yield `${line}\n`;
    }
  }
  await pipeline(Readable.from(kept()), createWriteStream(into));
}
