import type { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { ReadOnlyServer } from '../read-only.ts';
import { ReplyParser } from './reply-parser.ts';
import { RowBytes } from './row-bytes.ts';
import { StatementBytes, type TextStatement } from './statement-bytes.ts';

/** A statement to be run. */
export interface Ask {
  readonly statement: TextStatement;
  readonly values: readonly unknown[];
  /** Called once: with an error, or with the rows, which are good until it returns. */
  settle(error: unknown, rows: RowBytes | null): void;
}

export interface LaneOptions {
  readonly url: string;
  readonly applicationName: string;
  /** A statement that takes longer is ended by PostgreSQL. */
  readonly timeoutMs: number;
}

/** What is told about a lane. */
export interface LaneEvents {
  ready(): void;
  /** Once: it could not be opened, or is lost. What was on its way has been failed. */
  lost(error: unknown, wasReady: boolean): void;
  answered(): void;
}

/** One that is on its way. */
interface OnItsWay {
  readonly ask: Ask;
  readonly expectedMs: number;
  /** Whether it has its statement parsed under a name, and whether that is done. */
  readonly parses: boolean;
  isParsed: boolean;
  error: unknown;
}

/** What PostgreSQL tells of itself, of its own accord, while a connection is opened. */
interface ServerSettings {
  readonly parameterStatus: [{ readonly parameterName: string; readonly parameterValue: string }];
}

/** Settings of a server that takes no writes. */
const READ_ONLY: ReadonlySet<string> = new Set(['in_hot_standby', 'default_transaction_read_only']);

/** As much as Node reads at once. */
const READ_BYTES = 65_536;
const CONNECT_TIMEOUT_MS = 5_000;
/** PostgreSQL keeps each prepared statement in the memory of its connection; one with this many is replaced. */
const STATEMENTS_MAX = 1_000;

/**
 * One connection, and what is on its way in it. pg opens it (addresses, passwords, encryption); from then on it carries
 * nothing but prepared statements, in the extended query protocol, and what comes is taken apart here: of pg's objects
 * for each statement, message and row nothing is needed.
 */
export class ReadLane {
  isReady = false;
  /** Takes no more; it is closed once it is empty. */
  isRetired = false;
  /** How long what is on its way is expected to take PostgreSQL, milliseconds. */
  backlogMs = 0;
  /** When it last answered, or was given something while it was empty. */
  heardAt = performance.now();
  readonly #client: pg.Client;
  /**
   * What comes is read into the same bytes again and again: given new ones for each read, a few hundred large replies a second
   * have Node collect garbage most of the time.
   */
  readonly #socket = new Socket({
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length, bytes) => {
        this.#take((bytes as Buffer).subarray(0, length));
        return true;
      },
    },
  });
  /** While pg opens the connection, it listens to the stream. */
  #take = (bytes: Buffer): void => {
    this.#socket.emit('data', Buffer.from(bytes));
  };
  readonly #events: LaneEvents;
  readonly #onItsWay: OnItsWay[] = [];
  readonly #outbox = new StatementBytes();
  readonly #rows = new RowBytes();
  readonly #names = new Set<string>();
  readonly #learn: (name: string, tookMs: number) => void;
  #stream: Duplex | null = null;
  #lastWords: unknown = null;
  #isLost = false;
  #readOnly = false;

  /** @param learn to be told how long after the answer before it, or after it was sent, a statement was answered. */
  constructor(options: LaneOptions, events: LaneEvents, learn: (name: string, tookMs: number) => void) {
    this.#events = events;
    this.#learn = learn;
    this.#client = new pg.Client({
      connectionString: options.url,
      application_name: options.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: options.timeoutMs,
      keepAlive: true,
      // What is read is in memory nearly always; PostgreSQL would take a page out of order to cost four in order. Where it takes
      // it to cost little more than one, it looks rows up one by one that are found together in less.
      options: '-c random_page_cost=1.5',
      stream: () => this.#socket,
    });
    this.#client.on('error', (error) => this.#lose(error));
    const { connection } = this.#client as unknown as { readonly connection: EventEmitter<ServerSettings> };
    connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      if (READ_ONLY.has(parameterName)) this.#readOnly = parameterValue === 'on' || this.#readOnly;
    });
    this.#client.on('end', () => this.#lose(new Error('the connection to PostgreSQL ended')));
    this.#client.connect().then(
      () => this.#begin(),
      (error: unknown) => this.#lose(error),
    );
  }

  /** How many statements are on their way. */
  get depth(): number {
    return this.#onItsWay.length;
  }

  /** Puts a statement to those that `flush` sends. @param expectedMs how long it is expected to take PostgreSQL. */
  put(ask: Ask, now: number, expectedMs: number): void {
    const { name } = ask.statement;
    const parses = name === '' || !this.#names.has(name);
    try {
      this.#outbox.put(ask.statement, parses, ask.values);
    } catch (error) {
      ask.settle(error, null);
      return;
    }
    if (name !== '') this.#names.add(name);
    if (this.#names.size >= STATEMENTS_MAX) this.isRetired = true;
    if (this.#onItsWay.length === 0) this.heardAt = now;
    this.#onItsWay.push({ ask, expectedMs, parses, isParsed: false, error: null });
    this.backlogMs += expectedMs;
  }

  /** Sends what was put, in one write. */
  flush(): void {
    if (!this.#outbox.isEmpty && this.#stream?.writable === true) this.#stream.write(this.#outbox.take());
  }

  /** Breaks the connection; what was on its way fails with the reason. */
  break(reason: Error): void {
    if (this.#stream === null) this.#lose(reason);
    else this.#stream.destroy(reason);
  }

  /** Closes it; what is on its way is answered first. */
  async close(): Promise<void> {
    try {
      await this.#client.end();
    } catch {
      // It was broken already.
    }
  }

  #begin(): void {
    if (this.#readOnly) {
      this.#lose(new ReadOnlyServer());
      void this.close();
      return;
    }
    const { stream } = (this.#client as unknown as { readonly connection: { readonly stream: Duplex } })
      .connection;
    const parser = new ReplyParser({
      row: (chunk, start, end) => this.#rows.add(chunk, start, end),
      parsed: () => {
        const [first] = this.#onItsWay;
        if (first !== undefined) first.isParsed = true;
      },
      failed: (error) => {
        const [first] = this.#onItsWay;
        if (first === undefined) this.#lastWords = error;
        else first.error = error;
      },
      ready: () => this.#settleFirst(),
    });
    const take = (chunk: Buffer): void => {
      try {
        parser.take(chunk);
      } catch (error) {
        stream.destroy(error as Error);
      }
    };
    stream.removeAllListeners('data');
    // Encrypted, it is another stream, over the socket.
    if (stream === this.#socket) this.#take = take;
    else stream.on('data', take);
    this.#stream = stream;
    this.isReady = true;
    this.#events.ready();
  }

  #settleFirst(): void {
    const first = this.#onItsWay.shift();
    if (first === undefined) throw new Error('PostgreSQL answered what nobody asked');
    const { ask, expectedMs, error } = first;
    const { name } = ask.statement;
    // Others that were sent with it fail as well; the next one has it parsed again.
    if (first.parses && !first.isParsed) this.#names.delete(name);
    const heardAt = performance.now();
    this.#learn(name, heardAt - this.heardAt);
    this.heardAt = heardAt;
    this.backlogMs = this.#onItsWay.length === 0 ? 0 : this.backlogMs - expectedMs;
    ask.settle(error, error === null ? this.#rows : null);
    this.#rows.clear();
    this.#events.answered();
  }

  #lose(error: unknown): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const wasReady = this.isReady;
    this.isReady = false;
    const reason = this.#onItsWay[0]?.error ?? this.#lastWords ?? error;
    for (const { ask } of this.#onItsWay.splice(0)) ask.settle(reason, null);
    this.#events.lost(error, wasReady);
  }
}
