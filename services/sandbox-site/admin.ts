import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { faultsSchema } from './faults.ts';
import type { Sandbox } from './sandbox-site.ts';
import { changeSchema, schemaChangeSchema } from './schema-admin.ts';
import { SandboxFault } from './site-fault.ts';

const trafficSchema = z.object({ writesPerSecond: z.number().min(0).max(1_000) }).strict();
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
    try {
      changeSchema(sandbox, parsed.data);
    } catch (error) {
      if (!(error instanceof SandboxFault)) throw error;
      return reply.code(400).send({ error: error.message });
    }
    return state();
  });
}
