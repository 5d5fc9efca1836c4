import { readStatus, type StatusReport } from '@understudy/store/status';
import { MultiBar, type SingleBar } from 'cli-progress';
import pg from 'pg';

/** Where the lines of services and the progress of the first full scan meet on one terminal. */
export interface Screen {
  /** Prints a line above the bar. */
  line(text: string): void;
  /** Shows the bar, or moves it. */
  progress(done: Progress): void;
  /** Takes the bar away. */
  finish(): void;
}

/** How far the first full scan is. */
export interface Progress {
  readonly chunks: number;
  readonly chunksDone: number;
  readonly rows: number;
  readonly types: number;
  readonly typesDone: number;
}

/** Without a terminal: a line whenever this much more is done. */
const PLAIN_STEP = 0.1;

function plainScreen(): Screen {
  let shown = -1;
  return {
    line: (text) => process.stdout.write(`${text}\n`),
    progress: ({ chunks, chunksDone, rows, types, typesDone }) => {
      const part = chunks === 0 ? 0 : chunksDone / chunks;
      if (part < shown + PLAIN_STEP && !(part === 1 && shown < 1)) return;
      shown = part;
      process.stdout.write(
        `first full scan: ${Math.round(part * 100)} % (${typesDone} of ${types} entity types, ${rows} entities)\n`,
      );
    },
    finish: () => {},
  };
}

function terminalScreen(): Screen {
  let bars: MultiBar | undefined;
  let bar: SingleBar | undefined;
  return {
    line: (text) => {
      if (bars === undefined) process.stdout.write(`${text}\n`);
      else bars.log(`${text}\n`);
    },
    progress: ({ chunks, chunksDone, rows, types, typesDone }) => {
      bars ??= new MultiBar({
        format:
          'first full scan [{bar}] {percentage} %  {typesDone}/{types} types  {rows} entities  {duration_formatted}',
        hideCursor: true,
        clearOnComplete: true,
        gracefulExit: false,
      });
      bar ??= bars.create(chunks, 0, { rows, types, typesDone });
      bar.setTotal(Math.max(1, chunks));
      bar.update(chunksDone, { rows, types, typesDone });
    },
    finish: () => {
      bars?.stop();
      bars = undefined;
      bar = undefined;
    },
  };
}

/** A bar in a terminal, plain lines elsewhere. */
export function createScreen(): Screen {
  return process.stdout.isTTY === true ? terminalScreen() : plainScreen();
}

/** Reads how the replica is, over a connection of its own. @throws while no service has made the tables. */
export async function readReplica(databaseUrl: string): Promise<StatusReport> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await readStatus(client);
  } finally {
    await client.end();
  }
}

/** How far the full scans that are under way, or the last one, are; null before there is one. */
export function progressOf(report: StatusReport): Progress | null {
  const parts = report.scans.filter((scan) => scan.kind === 'full');
  if (parts.length === 0) return null;
  const sum = (of: (part: (typeof parts)[number]) => number): number =>
    parts.reduce((all, part) => all + of(part), 0);
  return {
    chunks: sum((part) => part.chunks),
    chunksDone: sum((part) => part.chunksDone),
    rows: sum((part) => part.rows),
    types: parts.length,
    typesDone: parts.filter((part) => part.chunksDone === part.chunks).length,
  };
}
