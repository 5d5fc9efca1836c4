import { fastify } from 'fastify';
import pg from 'pg';
import { MEASURED_READS } from '../studio/reads.ts';
import { studioOf } from '../studio/studio.ts';

/**
 * The least that a Node server over PostgreSQL can be: one route, the four statements prepared under their names, values
 * drawn at random, the JSON text handed through. No filter is taken apart, nobody is asked who they are.
 */
const [databaseUrl, times] = process.argv.slice(2);
const studio = studioOf(Number(times));
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
const reads = new Map(
  MEASURED_READS.map(({ name, sql, ranges }) => [name, { name, text: sql, ranges: ranges(studio) }]),
);

const app = fastify();
app.get('/:name', async (request, reply) => {
  const read = reads.get((request.params as { readonly name: string }).name);
  if (read === undefined) return reply.code(404).send('no such read');
  const values = read.ranges.map((most) => 1 + Math.floor(Math.random() * most));
  const { rows } = await pool.query<{ json: string }>({ name: read.name, text: read.text, values });
  reply.header('content-type', 'application/json; charset=utf-8');
  return rows[0]?.json ?? '[]';
});
/** The hot read: one statement with one value, whoever asks. */
app.get('/:name/same', async (request, reply) => {
  const read = reads.get((request.params as { readonly name: string }).name);
  if (read === undefined) return reply.code(404).send('no such read');
  const values = read.ranges.map(() => 1);
  const { rows } = await pool.query<{ json: string }>({ name: read.name, text: read.text, values });
  reply.header('content-type', 'application/json; charset=utf-8');
  return rows[0]?.json ?? '[]';
});
process.send?.({ url: await app.listen({ host: '127.0.0.1', port: 0 }) });
process.on('disconnect', () => process.exit(0));
