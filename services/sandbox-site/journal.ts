import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { createInterface } from 'node:readline';
import type { Json } from '@understudy/domain/entity';
import { compactJournal } from './compact-journal.ts';
import type { Connection } from './connections.ts';
import type { LoggedEvent } from './event-table.ts';
import type { SandboxField, SandboxSchema, SandboxType } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';

/** One change of the site's data, as a line of the journal. */
export type JournalRecord =
  | readonly ['create', type: string, id: number]
  | readonly ['remove', type: string, id: number]
  | readonly ['set', type: string, id: number, name: string, value: Json]
  | readonly ['retired', type: string, id: number, retired: boolean]
  | readonly ['taken', type: string, id: number]
  | readonly ['event', event: LoggedEvent]
  | readonly ['purged', throughId: number]
  | readonly ['schema', name: string, type: StoredType | null];

/** An entity type as the journal holds it. */
interface StoredType {
  readonly fields: readonly SandboxField[];
  readonly identifier: string;
  readonly internal: boolean;
  readonly connection: Connection | null;
  readonly trash: readonly string[];
}

/** How large a journal grows. */
export interface JournalLimits {
  /** A smaller one is never written anew. */
  readonly compactBytes: number;
  /** Entries of the event log that stay when it is written anew, as a site's retention policy has it (protocol §6.6). */
  readonly eventsKept: number;
}

const LIMITS: JournalLimits = { compactBytes: 64_000_000, eventsKept: 200_000 };

/** Raised when the same seed begins to give another studio: older journals then fit no more. */
const SEED_VERSION = 2;

export function storedType(type: SandboxType): StoredType {
  const { identifier, internal, connection } = type;
  return { fields: [...type.fields.values()], identifier, internal, connection, trash: [...type.trash] };
}

/** What a journal's changes begin from; written as its first line. */
export function journalHead(schema: SandboxSchema, seed: number, scale: number, history: boolean): string {
  const types = [...schema.values()].map((type) => [type.name, storedType(type)]);
  const hash = createHash('sha256').update(JSON.stringify(types)).digest('hex');
  return JSON.stringify({
    journal: 'sandbox-site',
    version: SEED_VERSION,
    seed,
    scale,
    history,
    schema: hash,
  });
}

function apply(data: SiteData, record: JournalRecord): void {
  const [kind, name] = record;
  if (kind === 'event') {
    data.events.publish(record[1]);
    return;
  }
  if (kind === 'purged') {
    data.events.purgeThrough(record[1]);
    return;
  }
  if (kind === 'schema') {
    const [, type, stored] = record;
    if (stored === null) data.schema.delete(type);
    else {
      const fields = new Map(stored.fields.map((field) => [field.name, field]));
      data.schema.set(type, { ...stored, name: type, fields, trash: new Set(stored.trash) });
    }
    return;
  }
  const [, type, id] = record;
  const entity = data.stored({ type, id });
  switch (kind) {
    case 'create':
      data.add(type, id, []);
      break;
    case 'taken':
      data.takeIds(type, id);
      break;
    case 'remove':
      if (entity !== undefined) data.remove(entity);
      break;
    case 'set':
      if (entity !== undefined) data.set(entity, record[3], record[4]);
      break;
    case 'retired':
      if (entity !== undefined) data.setRetired(entity, record[3]);
      break;
    default:
      throw new Error(`unknown record ${String(kind)} of ${String(name)} in the journal`);
  }
}

/**
 * Everything that changed since the site was seeded, one line a change: replayed over the same seed it gives the data back.
 * A line that a crash cut short is left out. Once it has grown to twice of what it was, and to `compactBytes`, it is written
 * anew beside the work that goes on (`compact-journal`), and the log's entries but the newest are purged.
 */
export class Journal {
  readonly #path: string;
  readonly #data: SiteData;
  readonly #limits: JournalLimits;
  #file: number;
  #bytes: number;
  #compactAtBytes: number;
  #compacting: Promise<void> | null = null;
  #waiting: string[] = [];

  private constructor(path: string, data: SiteData, limits: JournalLimits) {
    this.#path = path;
    this.#data = data;
    this.#limits = limits;
    this.#file = openSync(path, 'a');
    this.#bytes = fstatSync(this.#file).size;
    this.#compactAtBytes = limits.compactBytes;
  }

  /**
   * Replays a journal into freshly seeded data and writes on in it. One that began from something else is put aside.
   * @returns the journal, and where the old one was put if it did not fit.
   */
  static async open(
    path: string,
    data: SiteData,
    head: string,
    limits: JournalLimits = LIMITS,
  ): Promise<{ readonly journal: Journal; readonly putAside: string | null }> {
    let putAside: string | null = null;
    if (existsSync(path) && !(await replay(path, data, head))) {
      putAside = `${path}.${Date.now()}.old`;
      renameSync(path, putAside);
    }
    const isNew = !existsSync(path);
    const journal = new Journal(path, data, limits);
    // An empty line keeps what a crash may have cut short apart from what follows.
    journal.#append(isNew ? `${head}\n` : '\n');
    data.journal = (record) => journal.#write(record);
    return { journal, putAside };
  }

  /** Writes what is waiting; nothing can be written afterwards. */
  async close(): Promise<void> {
    await this.#compacting;
    this.#flush();
    await this.#compacting;
    closeSync(this.#file);
  }

  /** The changes of one call are written together, when it has done its work. */
  #write(record: JournalRecord): void {
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
    this.#waiting.push(JSON.stringify(record));
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const text = `${this.#waiting.join('\n')}\n`;
    this.#waiting = [];
    this.#append(text);
  }

  #append(text: string): void {
    this.#bytes += writeSync(this.#file, text);
    if (this.#bytes < this.#compactAtBytes) return;
    this.#compactAtBytes = Number.POSITIVE_INFINITY;
    this.#compacting = this.#compact().finally(() => {
      this.#compacting = null;
    });
  }

  /** Nothing is lost at any moment: the old file stays the journal until the new one holds all that it holds. */
  async #compact(): Promise<void> {
    this.#data.purgeEvents(this.#limits.eventsKept);
    this.#flush();
    const whole = this.#bytes;
    const next = `${this.#path}.new`;
    await compactJournal(this.#path, whole, next);
    // From here on nobody else runs until the new one has taken the place.
    const file = openSync(next, 'a');
    copyFrom(this.#path, whole, file);
    renameSync(next, this.#path);
    closeSync(this.#file);
    this.#file = file;
    this.#bytes = fstatSync(file).size;
    this.#compactAtBytes = Math.max(this.#limits.compactBytes, 2 * this.#bytes);
  }
}

/** Appends what a file holds from a position on to another one. */
function copyFrom(path: string, position: number, into: number): void {
  const from = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(65_536);
    for (let at = position; ; ) {
      const count = readSync(from, buffer, 0, buffer.length, at);
      if (count === 0) return;
      writeSync(into, buffer, 0, count);
      at += count;
    }
  } finally {
    closeSync(from);
  }
}

/** @returns false where the first line is not the head. */
async function replay(path: string, data: SiteData, head: string): Promise<boolean> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  let isFirst = true;
  for await (const line of lines) {
    if (isFirst) {
      if (line !== head) return false;
      isFirst = false;
      continue;
    }
    const record = parsedLine(line);
    if (record !== undefined) apply(data, record);
  }
  return !isFirst;
}

/** @returns undefined for what is no whole line: a crash cut it short. */
export function parsedLine(line: string): JournalRecord | undefined {
  try {
    return JSON.parse(line) as JournalRecord;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
