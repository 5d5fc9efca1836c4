import type pg from 'pg';
import { prepareValue } from 'pg/lib/utils.js';
import { serialize } from 'pg-protocol';

/** A statement whose only column is text. */
export interface TextStatement {
  /** Equal for equal texts: it is prepared under it. Empty: it is parsed and planned each time. */
  readonly name: string;
  readonly text: string;
}

/** What pg's own connection knows of prepared statements; its types leave it out. */
interface Wire {
  readonly parsedStatements: Record<string, string | undefined>;
  readonly submittedNamedStatements: Record<string, string | undefined>;
}

/** All rows at once, and then a word that the next statement stands by itself. */
const EXECUTE_AND_SYNC = Buffer.concat([serialize.execute({}), serialize.sync()]);

/**
 * One run of a statement on a connection of pg. It asks for no description of the rows and makes no objects of them: the
 * only column is what is wanted. An EventEmitter with results, as pg has for each query, takes half as long again. What it
 * has to say is left in an outbox, so that all who ask in one turn are sent in one piece: a write for each part of each
 * statement takes longer than everything else of it.
 */
export class TextQuery implements pg.Submittable {
  readonly name: string;
  readonly text: string;
  readonly #values: readonly unknown[];
  readonly #texts: string[] = [];
  readonly #outbox: Buffer[];
  readonly #done: (error: unknown, texts: readonly string[]) => void;
  #error: unknown = null;

  constructor(
    statement: TextStatement,
    values: readonly unknown[],
    outbox: Buffer[],
    done: (error: unknown, texts: readonly string[]) => void,
  ) {
    this.name = statement.name;
    this.text = statement.text;
    this.#values = values;
    this.#outbox = outbox;
    this.#done = done;
  }

  submit(connection: unknown): void {
    const wire = connection as Wire;
    const { name, text } = this;
    if (name === '') this.#outbox.push(serialize.parse({ name, text }));
    else if (wire.parsedStatements[name] === undefined && wire.submittedNamedStatements[name] === undefined) {
      this.#outbox.push(serialize.parse({ name, text }));
      wire.submittedNamedStatements[name] = text;
    }
    // As it comes, and text or null, so that the answer is text as well.
    const values = this.#values as unknown[];
    this.#outbox.push(
      serialize.bind({ statement: name, values, valueMapper: prepareValue }),
      EXECUTE_AND_SYNC,
    );
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    this.#texts.push(message.fields[0] ?? '');
  }

  handleCommandComplete(): void {}

  handleError(error: unknown): void {
    this.#error = error;
    this.#settle();
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  #isSettled = false;

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#done(this.#error, this.#texts);
  }
}
