import { formatCachedSchema } from '@understudy/schema/cached-schema-file';
import {
  formatFullSchema,
  mergeSchemas,
  parseFullSchema,
  parsePrivateSchema,
} from '@understudy/schema/full-schema';
import { filterSchema, parsePatterns } from '@understudy/schema/patterns';
import { localBudget } from '@understudy/site-client/budget';
import { readPrivateSchemaPage } from '@understudy/site-client/private-schema';
import { createSiteClient } from '@understudy/site-client/site-client';

/** @returns what `schema dump` and `schema filter` make of a site, as a schema file's YAML. */
export async function filteredSchema(url: string, patterns: string): Promise<string> {
  const client = createSiteClient({
    url,
    credentials: { scriptName: 'understudy', scriptKey: 'sandbox-key' },
    budget: localBudget({ concurrency: 1 }),
    timeoutMs: 10_000,
  });
  try {
    const page = await readPrivateSchemaPage(client, { url, timeoutMs: 10_000 });
    const full = mergeSchemas(await client.schemaRead({ priority: 'client' }), parsePrivateSchema(page));
    return formatCachedSchema(filterSchema(parseFullSchema(formatFullSchema(full)), parsePatterns(patterns)));
  } finally {
    await client.close();
  }
}
