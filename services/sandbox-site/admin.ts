import { isDataTypeName } from '@understudy/domain/data-types/registry';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { faultsSchema } from './faults.ts';
import type { Sandbox } from './sandbox-site.ts';

const trafficSchema = z.object({ writesPerSecond: z.number().min(0).max(1_000) }).strict();
const schemaChangeSchema = z.discriminatedUnion('change', [
  z
    .object({
      change: z.literal('add'),
      type: z.string(),
      field: z.string(),
      dataType: z.string(),
      validTypes: z.array(z.string()).default([]),
    })
    .strict(),
  z.object({ change: z.literal('delete'), type: z.string(), field: z.string() }).strict(),
]);

/** What a test or a person may do to the sandbox from outside: look, set traffic and faults, change the schema. */
export function adminRoutes(app: FastifyInstance, sandbox: Sandbox): void {
  const state = (): object => ({
    seed: sandbox.seed,
    writesPerSecond: sandbox.writesPerSecond,
    faults: sandbox.faults,
    counts: sandbox.data.counts(),
  });
  const refuse = (reply: FastifyReply, error: z.ZodError): FastifyReply =>
    reply.code(400).send({ error: z.prettifyError(error) });

  app.get('/_sandbox', async () => state());

  app.post('/_sandbox/traffic', async (request, reply) => {
    const parsed = trafficSchema.safeParse(request.body);
    if (!parsed.success) return refuse(reply, parsed.error);
    sandbox.writesPerSecond = parsed.data.writesPerSecond;
    return state();
  });

  app.post('/_sandbox/faults', async (request, reply) => {
    const parsed = faultsSchema.safeParse(request.body);
    if (!parsed.success) return refuse(reply, parsed.error);
    const changes = Object.fromEntries(
      Object.entries(parsed.data).filter(([, value]) => value !== undefined),
    );
    sandbox.faults = { ...sandbox.faults, ...changes };
    return state();
  });

  app.post('/_sandbox/schema', async (request, reply) => {
    const parsed = schemaChangeSchema.safeParse(request.body);
    if (!parsed.success) return refuse(reply, parsed.error);
    const change = parsed.data;
    const fields = sandbox.data.schema.get(change.type)?.fields;
    if (fields === undefined) return reply.code(400).send({ error: `no entity type ${change.type}` });
    if (change.change === 'delete') fields.delete(change.field);
    else {
      if (!isDataTypeName(change.dataType))
        return reply.code(400).send({ error: `no data type ${change.dataType}` });
      const { field: name, dataType, validTypes } = change;
      fields.set(name, {
        name,
        dataType,
        validTypes,
        validValues: [],
        unique: false,
        readOnly: false,
        inverse: null,
      });
    }
    return state();
  });
}
