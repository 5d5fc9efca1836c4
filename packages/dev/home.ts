import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '@understudy/runtime/config/sections';
import { stringify } from 'yaml';
import { DevFailure } from './failure.ts';
import { canEnter, postgresAccount } from './postgres/account.ts';
import { SHARED_FOLDER } from './postgres/binaries.ts';
import { commandOf, isAlive } from './process-tree.ts';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where data is unless another folder is given; `bin/understudy` looks there. */
export const HOME = join(ROOT, '.understudy');

/** What is kept from one start to the next. */
interface Kept {
  /** Of the embedded PostgreSQL. */
  readonly postgresPort: number | null;
  readonly password: string;
  /** Signs control messages. */
  readonly controlSecret: string;
  /** Folder of PostgreSQL's data. */
  readonly postgresFolder: string;
}

/** The folder of a checkout’s data, `.understudy`: data, what was chosen at the first start, and who runs there now. */
export interface Home {
  readonly kept: Kept;
  /** Says where PostgreSQL's data is when it is not in the folder itself. */
  readonly elsewhere: string | null;
  readonly sandboxState: string;
  /** Folder of thumbnails. */
  readonly media: string;
  readonly configFile: string;
  keep(changes: Partial<Kept>): Promise<void>;
  /** Writes the running instance's configuration, which the `understudy` command finds there. */
  writeConfig(config: Config): Promise<void>;
  /** Takes the folder for this process. @throws DevFailure while another has it. */
  take(): Promise<void>;
  /** Forgets all data. */
  reset(): Promise<void>;
  /** Gives the folder back. */
  leave(): Promise<void>;
}

/** A name for these data in a folder that others share. */
function nameOf(path: string): string {
  return path.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');
}

/** Opens the folder; makes it and chooses passwords at the first time. */
export async function openHome(folder: string): Promise<Home> {
  const file = join(folder, 'kept.json');
  const pidFile = join(folder, 'dev.pid');
  const configFile = join(folder, 'config.yaml');
  await mkdir(folder, { recursive: true });
  const secret = (): string => randomBytes(24).toString('base64url');
  const here = join(folder, 'postgres');
  const account = postgresAccount();
  let kept: Kept = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Kept)
    : { postgresPort: null, password: secret(), controlSecret: secret(), postgresFolder: here };
  const save = async (): Promise<void> => {
    await writeWhole(file, JSON.stringify(kept, null, 2));
  };
  // A checkout that was moved takes its data along.
  if (!canEnter(here, account)) kept = { ...kept, postgresFolder: join(SHARED_FOLDER, nameOf(folder)) };
  else if (!kept.postgresFolder.startsWith(SHARED_FOLDER)) kept = { ...kept, postgresFolder: here };
  await save();
  return {
    get kept() {
      return kept;
    },
    elsewhere: kept.postgresFolder === here ? null : kept.postgresFolder,
    sandboxState: join(folder, 'sandbox-site.state'),
    media: join(folder, 'media'),
    configFile,
    keep: async (changes) => {
      kept = { ...kept, ...changes };
      await save();
    },
    writeConfig: (config) => writeWhole(configFile, stringify(config)),
    take: async () => {
      const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
      if (pid > 0 && pid !== process.pid && isAlive(pid) && commandOf(pid).includes('dev/main.ts')) {
        throw new DevFailure(`bin/dev runs already in this checkout (process ${pid})`);
      }
      await writeFile(pidFile, String(process.pid));
    },
    reset: async () => {
      for (const path of [
        kept.postgresFolder,
        join(folder, 'sandbox-site.state'),
        join(folder, 'sandbox-site.state.media'),
        join(folder, 'media'),
      ]) {
        await rm(path, { recursive: true, force: true });
      }
    },
    leave: async () => {
      await rm(configFile, { force: true });
      await rm(pidFile, { force: true });
    },
  };
}

/** Writes a file that others never see half written, and only its owner may read: it holds passwords. */
async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
