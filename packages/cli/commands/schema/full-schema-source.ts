import { readFile } from 'node:fs/promises';
import {
  type FullSchema,
  mergeSchemas,
  parseFullSchema,
  parsePrivateSchema,
} from '@understudy/schema/full-schema';
import { parseSiteSchema, SiteSchemaError } from '@understudy/schema/site-schema';
import { SiteFault, SiteProtocolError } from '@understudy/site-client/faults';
import { readPrivateSchemaPage } from '@understudy/site-client/private-schema';
import type { CommandParts } from '../../command-line.ts';
import { CommandFailure, EXIT_USAGE } from '../../failure.ts';

/** The full schema in a file that `schema dump` wrote, or in the JSON of a `schema_read`. @throws CommandFailure */
export async function fullSchemaIn(file: string): Promise<FullSchema> {
  try {
    return parseFullSchema(await readFile(file, 'utf8'));
  } catch (error) {
    throw new CommandFailure(
      `${file}: ${error instanceof Error ? error.message : String(error)}`,
      EXIT_USAGE,
    );
  }
}

/**
 * The site's full schema, public and private merged. A site that does not show the private one to our credentials gives
 * the public one, which is said on stderr.
 * @throws SiteUnavailable
 */
export async function fullSchemaOfSite(parts: CommandParts): Promise<FullSchema> {
  const site = parts.site();
  const { results } = await site.call('schema_read', undefined, { priority: 'client', signal: parts.signal });
  const schema = parseSiteSchema(results);
  const { url, timeoutMs } = parts.config.site;
  try {
    return mergeSchemas(schema, parsePrivateSchema(await readPrivateSchemaPage(site, { url, timeoutMs })));
  } catch (error) {
    const isRefused =
      error instanceof SiteSchemaError || error instanceof SiteProtocolError || error instanceof SiteFault;
    if (!isRefused) throw error;
    process.stderr.write(`understudy: only the public schema is known: ${error.message}\n`);
    return mergeSchemas(schema);
  }
}
