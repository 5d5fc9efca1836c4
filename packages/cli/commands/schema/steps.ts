import { setTimeout as delay } from 'node:timers/promises';
import {
  activate,
  advanceGenerations,
  beginRescan,
  GenerationError,
  generationProgress,
} from '@understudy/pipeline/advance-generation';
import { GenerationUnderWay, moveGeneration } from '@understudy/pipeline/move-generation';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { fitToSite } from '@understudy/schema/difference';
import { schemaChanges } from '@understudy/schema/schema-change';
import type { Generation } from '@understudy/store/generations';
import { readStatus, type StatusReport } from '@understudy/store/status';
import type { CommandParts } from '../../command-line.ts';
import { CommandFailure, EXIT_NO, EXIT_USAGE } from '../../failure.ts';
import { printJsonLine, printLine } from '../../output.ts';
import { startProgress } from '../../progress.ts';
import { countText } from '../../text.ts';
import { preparedSnapshot, siteSchemaNow } from './schema-parts.ts';

const LOOK_MS = 300;
const SILENT_MS = 10_000;
/** How long a service may take to show itself before a person is told that it is missing. */
const PATIENCE_MS = 5_000;

/** Says on stdout what was done: a line for people, or a JSON object a line. */
export function tell(parts: CommandParts, step: string, generation: number, text: string): void {
  if (parts.json) printJsonLine({ step, generation, text });
  else printLine(text);
}

const isSame = (a: CachedSchema, b: CachedSchema): boolean => schemaChanges(a, b).length === 0;

/**
 * The move: has a schema followed. A generation of the same schema that is on its way already is taken up where it was
 * left.
 * @returns the generation, or null when the schema is served already.
 * @throws CommandFailure while another one is on its way.
 */
export async function move(
  parts: CommandParts,
  declared: CachedSchema,
  source: string,
): Promise<number | null> {
  const reading = await siteSchemaNow(parts);
  const { generations } = await preparedSnapshot(parts);
  const fitted = fitToSite(declared, reading.schema).schema;
  const known = generations.find(
    (one) => one.state !== 'retired' && isSame(one.declared, declared) && isSame(one.schema, fitted),
  );
  if (known !== undefined) {
    if (known.state === 'serving') return null;
    tell(parts, 'move', known.id, `generation ${known.id} is ${known.state}: it is taken up from there`);
    return known.id;
  }
  try {
    const db = await parts.database();
    const { databaseOptions } = parts;
    const id = await moveGeneration({ db, databaseOptions, declared, reading, source, isAutomatic: false });
    tell(parts, 'move', id, `generation ${id} is followed: its fields are stored from now on`);
    return id;
  } catch (error) {
    if (error instanceof GenerationUnderWay) throw new CommandFailure(error.message, EXIT_USAGE);
    throw error;
  }
}

/**
 * The rescan: has the new fields of a generation scanned and waits until every one may be served; the scanners do the
 * work, whether or not anybody waits.
 * @throws CommandFailure when the generation is given up meanwhile.
 */
export async function rescan(parts: CommandParts, id: number): Promise<void> {
  const db = await parts.database();
  await beginRescan(db, id);
  const progress = parts.json ? null : startProgress(1, 'fields');
  const startedAt = performance.now();
  let isTold = false;
  try {
    for (;;) {
      // Scanners do this as well; with none running, what is scanned already is ready all the same.
      await advanceGenerations(db);
      const found = (await generationProgress(db)).find(({ generation }) => generation.id === id);
      if (found === undefined || found.generation.state === 'retired')
        throw new CommandFailure(`generation ${id} was given up`, EXIT_NO);
      const { services, scans } = await readStatus(db.pool);
      progress?.setTotal(found.fields);
      progress?.update(found.served, scanText(scans));
      if (found.generation.state === 'ready' || found.generation.state === 'serving') break;
      const isScanned = services.some((one) => one.service === 'scanner' && one.silentMs < SILENT_MS);
      if (!isScanned && !isTold && performance.now() - startedAt > PATIENCE_MS) {
        process.stderr.write('understudy: no scanner runs; the rescan goes on when one does\n');
        isTold = true;
      }
      await delay(LOOK_MS, undefined, { signal: parts.signal });
    }
  } finally {
    progress?.stop();
  }
  tell(parts, 'rescan', id, `generation ${id} is ready: all it keeps has been scanned`);
}

/** How far the scans of what is new are, of all types together. */
function scanText(scans: StatusReport['scans']): string {
  const full = scans.filter(
    ({ kind, chunksDone, chunks }) => (kind === 'full' || kind === 'fields') && chunksDone < chunks,
  );
  const sum = (of: (scan: StatusReport['scans'][number]) => number): number =>
    full.reduce((total, one) => total + of(one), 0);
  return `${sum((one) => one.chunksDone)} of ${sum((one) => one.chunks)} chunks, ${sum((one) => one.rows)} rows`;
}

/** The activation: has readers serve a generation that is ready. @throws CommandFailure when it is not. */
export async function activateReady(parts: CommandParts, generation: Generation): Promise<void> {
  const db = await parts.database();
  if (generation.state !== 'serving') {
    try {
      await activate(db, generation.id);
    } catch (error) {
      if (error instanceof GenerationError) throw new CommandFailure(error.message, EXIT_USAGE);
      throw error;
    }
  }
  const readers = (await readStatus(db.pool)).services.filter(
    (one) => one.service === 'api-reader' && one.silentMs < SILENT_MS,
  );
  tell(
    parts,
    'activate',
    generation.id,
    `generation ${generation.id} is served; ${countText(readers.length, 'reader')} will follow at once`,
  );
}
