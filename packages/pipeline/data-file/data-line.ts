import { type EntityRow, isEntityRef } from '@understudy/domain/entity';

/** A line of a data file: an entity as a reader answers it, with the fields that were chosen, and whether it is alive. */
export interface DataLine {
  readonly row: EntityRow;
  readonly active: boolean;
}

/** A line that is no entity. */
export class DataLineError extends Error {
  override readonly name = 'DataLineError';
}

const ACTIVE = '_active';

/** Without the line's end. */
export function formatDataLine({ row, active }: DataLine): string {
  const { type, id, ...fields } = row;
  return JSON.stringify({ type, id, [ACTIVE]: active, ...fields });
}

/** @throws DataLineError */
export function parseDataLine(text: string): DataLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new DataLineError(`no JSON: ${text.slice(0, 80)}`);
  }
  if (!isEntityRef(value) || value.id < 1) throw new DataLineError(`no entity: ${text.slice(0, 80)}`);
  const { [ACTIVE]: active = true, ...row } = value as unknown as EntityRow;
  if (typeof active !== 'boolean')
    throw new DataLineError(`${ACTIVE} is neither true nor false: ${text.slice(0, 80)}`);
  return { row: row as unknown as EntityRow, active };
}
