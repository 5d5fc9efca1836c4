import { spawnSync } from 'node:child_process';

/** Why tests that need Redis are skipped, or false: for the option `skip` of a test. */
export const NO_REDIS: string | false =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'no redis-server was found (Debian: apt-get install redis-server)';
