import { once } from 'node:events';
import { createServer } from 'node:net';
import { DevFailure } from './failure.ts';

export interface WantedPort {
  /** Who listens there. */
  readonly owner: string;
  readonly host: string;
  readonly port: number;
  /** The flag that chooses another. */
  readonly flag: string;
}

/** Whether nobody listens there now. */
export async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host, exclusive: true });
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** @throws DevFailure naming every port that is taken or wanted twice. */
export async function assertFree(wanted: readonly WantedPort[]): Promise<void> {
  const problems: string[] = [];
  const owners = new Map<number, string>();
  for (const { owner, host, port, flag } of wanted) {
    const other = owners.get(port);
    owners.set(port, owner);
    if (other !== undefined)
      problems.push(`port ${port} is wanted by ${other} and ${owner}: choose with ${flag}`);
    else if (!(await isFree(port, host))) {
      problems.push(`port ${port} of ${owner} is taken by another program: choose another with ${flag} PORT`);
    }
  }
  if (problems.length > 0) throw new DevFailure(problems.join('\n'));
}
