import { withoutSignature } from '../signed-address.ts';
import type { DataType } from './data-type.ts';
import { inDoubt, parseText } from './parsers.ts';

/**
 * The address of a picture, signed and expiring (protocol §3.5). Only its lasting part is kept: it tells whether there
 * is a picture and which one; readers make an address of their own of it.
 */
export const imageDataType: DataType = {
  name: 'image',
  storage: 'text',
  family: 'image',
  relations: ['is', 'is_not'],
  sortable: false,
  parse: (wire) => {
    const address = parseText(wire);
    return address === null ? null : withoutSignature(address);
  },
  // Events tell the number of the picture, not its address (protocol §6.3).
  parseEventValue: inDoubt,
};
