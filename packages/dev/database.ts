import pg from 'pg';

export interface KnownDatabase {
  readonly url: string;
}

/** Makes a database on the server unless it is there. @param name letters, digits, underscores. */
export async function ensureDatabase(serverUrl: string, name: string): Promise<KnownDatabase> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.toString() };
}
