import type pg from 'pg';
import { prepareValue } from 'pg/lib/utils.js';

/** A statement whose only column is text. */
export interface TextStatement {
  /** Equal for equal texts: it is prepared under it. */
  readonly name: string;
  readonly text: string;
}

/** What pg's own connection does of the protocol; its types leave half of it out. */
interface Wire {
  readonly parsedStatements: Record<string, string | undefined>;
  readonly submittedNamedStatements: Record<string, string | undefined>;
  parse(message: { readonly name: string; readonly text: string }): void;
  bind(message: {
    readonly statement: string;
    readonly values: readonly unknown[];
    readonly valueMapper: (value: unknown) => unknown;
  }): void;
  execute(message: object): void;
  sync(): void;
}

/**
 * One run of a statement on a connection of pg. It asks for no description of the rows and makes no objects of them: the
 * only column is what is wanted. An EventEmitter with results, as pg has for each query, takes half as long again.
 */
export class TextQuery implements pg.Submittable {
  readonly name: string;
  readonly text: string;
  readonly #values: readonly unknown[];
  readonly #texts: string[] = [];
  readonly #done: (error: unknown, texts: readonly string[]) => void;
  #error: unknown = null;

  constructor(
    statement: TextStatement,
    values: readonly unknown[],
    done: (error: unknown, texts: readonly string[]) => void,
  ) {
    this.name = statement.name;
    this.text = statement.text;
    this.#values = values;
    this.#done = done;
  }

  submit(connection: unknown): void {
    const wire = connection as Wire;
    const { name, text } = this;
    if (wire.parsedStatements[name] === undefined && wire.submittedNamedStatements[name] === undefined) {
      wire.parse({ name, text });
      wire.submittedNamedStatements[name] = text;
    }
    wire.bind({ statement: name, values: this.#values, valueMapper: prepareValue });
    wire.execute({});
    wire.sync();
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
