import { entityTable } from '@understudy/store/entity-tables';
import { isTypeServed } from '@understudy/store/followed-fields';
import { fetchedFields, mergeFetched } from '@understudy/store/merge/fetched';
import { mergePartial } from '@understudy/store/merge/partial';
import { requestRefresh } from '@understudy/store/refresh-requests';
import { nextTick } from '@understudy/store/tick';
import { onReplica, originOf, type Replica } from '../replica.ts';
import { type DataLine, DataLineError, parseDataLine } from './data-line.ts';

export interface LoadOptions {
  /**
   * `fill`: what the file says is older than anything that was ever heard, so that it only fills what is not there;
   * `replace`: it is as new as an answer of the site would be now.
   */
  readonly mode: 'fill' | 'replace';
  /** Told how many more entities were loaded. */
  readonly onLoaded: (count: number) => void;
}

/** Older than any reading of the clock, newer than a row of which nothing was ever heard. */
const OLDEST_TICK = 1;
const LINES_AT_ONCE = 500;
/** No event can be contained in what was not fetched. */
const LONG_AGO = new Date(0);

/**
 * Loads entities from JSON lines through the merge, some hundreds at a time: memory stays flat however many there are.
 * Lines with all fields that are kept load whole rows, others only what they name. Loading again does no harm.
 * @returns how many lines there were.
 * @throws DataLineError for a line that is no entity of a cached type; what came before it stays loaded.
 */
export async function loadEntities(
  replica: Replica,
  lines: AsyncIterable<string> | Iterable<string>,
  options: LoadOptions,
): Promise<number> {
  let number = 0;
  let batch: DataLine[] = [];
  let kind = '';
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    await onReplica(replica, (current) => loadBatch(current, batch, options.mode));
    options.onLoaded(batch.length);
    batch = [];
  };
  for await (const text of lines) {
    number += 1;
    if (text.trim() === '') continue;
    const line = readLine(replica, text, number);
    // One merge takes rows of one type that tell of the same fields.
    const ofLine = `${line.row.type} ${Object.keys(line.row).sort().join(' ')}`;
    if (ofLine !== kind || batch.length >= LINES_AT_ONCE) await flush();
    kind = ofLine;
    batch.push(line);
  }
  await flush();
  return number;
}

function readLine(replica: Replica, text: string, number: number): DataLine {
  try {
    const line = parseDataLine(text);
    if (!replica.schema.types.has(line.row.type))
      throw new DataLineError(`${line.row.type} is not cached here`);
    return line;
  } catch (error) {
    if (error instanceof DataLineError) throw new DataLineError(`line ${number}: ${error.message}`);
    throw error;
  }
}

async function loadBatch(
  replica: Replica,
  rows: readonly DataLine[],
  mode: LoadOptions['mode'],
): Promise<void> {
  const [first] = rows;
  const cached = replica.schema.types.get(first?.row.type ?? '');
  if (first === undefined || cached === undefined) return;
  const table = entityTable(cached);
  const tick = mode === 'fill' ? OLDEST_TICK : await nextTick(replica.db.pool);
  const siteTime = mode === 'fill' ? LONG_AGO : new Date();
  const origin = originOf(replica, 'load');
  const fields = fetchedFields(table).filter((name) => name in first.row);
  const isWhole = fields.length === fetchedFields(table).length;
  await replica.db.transaction(async (tx) => {
    const { type } = table;
    const isServed = await isTypeServed(tx, type);
    const told = { tick, siteTime, rows, origin };
    const doubtful = isWhole
      ? (await mergeFetched(tx, table, told)).taken
      : await mergePartial(tx, table, { ...told, fields, makeMissing: !isServed });
    // Readers serve the type: what it lacked may be no longer, or never was, on the site.
    if (isServed && (mode === 'fill' || !isWhole))
      await requestRefresh(
        tx,
        doubtful.map((id) => ({ type, id, reason: 'loaded' })),
      );
  });
}
