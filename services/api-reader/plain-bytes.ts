import { promisify } from 'node:util';
import { brotliDecompress, unzip } from 'node:zlib';
import type { UpstreamReply } from './upstream.ts';

const unzipped = promisify(unzip);
const unbrotlied = promisify(brotliDecompress);

/**
 * What a reply holds, however it was packed for its client: clients say themselves which encodings they take.
 * @throws Error for bytes that are not of the encoding that they are said to have, or for more than `bytesMax` of them.
 */
export async function plainBytes(
  { headers }: Pick<UpstreamReply, 'headers'>,
  bytes: Buffer,
  bytesMax: number,
): Promise<Buffer> {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity' || bytes.length === 0) return bytes;
  return (encoding === 'br' ? unbrotlied : unzipped)(bytes, { maxOutputLength: bytesMax });
}
