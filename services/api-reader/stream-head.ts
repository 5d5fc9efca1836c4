import { PassThrough, type Readable } from 'node:stream';

/** A stream with its first bytes remembered while they go by. */
export interface StreamHead {
  readonly stream: Readable;
  /** What went by so far, at most as much as was asked for. */
  head(): Buffer;
}

/** Passes a stream on and remembers its beginning; holds nothing else in memory. Errors go along. */
export function withHead(source: Readable, bytesMax: number): StreamHead {
  const chunks: Buffer[] = [];
  let length = 0;
  const stream = new PassThrough();
  // Whoever reads it hears of errors too; before anybody does, one must not end the process.
  stream.on('error', () => source.unpipe(stream));
  source.on('data', (chunk: Buffer) => {
    if (length >= bytesMax) return;
    chunks.push(chunk.subarray(0, bytesMax - length));
    length += Math.min(chunk.length, bytesMax - length);
  });
  source.on('error', (error) => stream.destroy(error));
  source.on('close', () => {
    if (!source.readableEnded) stream.destroy(new Error('the sender went away'));
  });
  source.pipe(stream);
  return { stream, head: () => Buffer.concat(chunks) };
}
