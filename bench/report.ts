import Table from 'cli-table3';

/** Figures of one part, with what they should be beside them. */
export interface Figures {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  readonly notes?: readonly string[];
}

/** Writes figures for people. */
export function print({ title, head, rows, notes = [] }: Figures): void {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  table.push(...rows.map((row) => row.map((cell) => ({ content: String(cell) }))));
  console.log([title, table.toString(), ...notes, ''].join('\n'));
}
