import { createServer } from 'node:http';

/**
 * What Node's own server takes for a request of the JSON API: its body is read, and text of a constant length sent back.
 * `/120` answers with 120 bytes. Nothing over Node is faster, whatever it keeps in memory.
 */
const server = createServer((request, response) => {
  request.on('data', () => {});
  request.on('end', () => {
    const length = Number(request.url?.slice(1));
    const headers = ['content-type', 'application/json; charset=utf-8', 'content-length', String(length)];
    response.writeHead(200, headers);
    response.end('x'.repeat(length));
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  process.send?.({ url: `http://127.0.0.1:${address.port}` });
});
process.on('disconnect', () => process.exit(0));
