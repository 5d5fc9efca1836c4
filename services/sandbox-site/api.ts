import type { Json } from '@understudy/domain/entity';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { authenticate } from './auth.ts';
import { Caller } from './caller.ts';
import { METHODS } from './methods/all.ts';
import { RawBody } from './raw-body.ts';
import type { Sandbox } from './sandbox-site.ts';
import { badRequest, SandboxFault } from './site-fault.ts';

export const INFO = {
  version: [8, 60, 0],
  full_version: [8, 60, 0, 0],
  api_max_entities_per_page: 500,
  s3_uploads_enabled: false,
  s3_direct_uploads_enabled: false,
};

/** `info`, the one call without credentials (protocol §2). */
function info({ faults }: Sandbox): Json {
  const method = faults.sso ? 'saml2' : faults.identity ? 'oxygen' : 'default';
  const direct = faults.directUploads
    ? { s3_uploads_enabled: true, s3_direct_uploads_enabled: true, s3_enabled_upload_types: { '*': ['*'] } }
    : {};
  return { ...INFO, ...direct, user_authentication_method: method };
}

/** Answers one call of the JSON API. @throws SandboxFault */
function answer(sandbox: Sandbox, body: unknown): Json | RawBody {
  if (typeof body !== 'object' || body === null) throw badRequest('API invalid request');
  const { method_name: method, params } = body as { method_name?: unknown; params?: unknown };
  if (typeof method !== 'string') throw badRequest("API invalid/missing string 'method_name'");
  if (method === 'info') return info(sandbox);
  if (!Array.isArray(params)) throw badRequest("API invalid/missing array 'params'");
  const [auth, payload] = params;
  const actor = authenticate(sandbox, auth);
  const answerMethod = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
  if (answerMethod === undefined) throw badRequest(`API unknown method '${method}'`);
  const results = answerMethod(sandbox, new Caller(sandbox, actor), payload);
  return results instanceof RawBody ? results : { results };
}

/** `POST /api3/json`: faults are answers with status 200 (protocol §1.3). */
export async function handleApi(
  sandbox: Sandbox,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  let result: Json | RawBody;
  try {
    result = answer(sandbox, request.body);
  } catch (error) {
    // What follows a body level by level runs out of stack in one of many thousand.
    const fault = error instanceof RangeError ? badRequest('API invalid request: nested too deeply') : error;
    if (!(fault instanceof SandboxFault)) throw fault;
    result = { exception: true, message: fault.message, error_code: fault.code };
  }
  if (result instanceof RawBody) return reply.type(result.contentType).send(result.text);
  return reply.send(result);
}
