import type { Json } from '@understudy/domain/entity';
import { pause } from '@understudy/runtime/loop';
import type { SiteClient } from '@understudy/site-client/site-client';
import { type Answer, jsonAnswer } from './api-call.ts';
import { siteAway } from './errors.ts';
import type { SiteReach } from './site-reach.ts';

type Info = Readonly<Record<string, Json>>;

export interface InfoMirror {
  /** The site's `info` with our marker (protocol §2), from memory. @throws ReaderError when it was never had. */
  answer(): Promise<Answer>;
  /** Keeps it up to date, and so finds out when the site comes back; until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

export interface InfoOptions {
  /** Asks once, within a short time. */
  readonly site: SiteClient;
  readonly reach: SiteReach;
  readonly version: string;
}

const RENEW_MS = 60_000;
const RENEW_WHILE_AWAY_MS = 1_000;

/** Remembers the site's `info`. */
export function createInfoMirror({ site, reach, version }: InfoOptions): InfoMirror {
  let known: Info | undefined;
  let asking: Promise<Info> | undefined;

  /** Many callers ask once. */
  const ask = (): Promise<Info> => {
    asking ??= site
      .info({ priority: 'client' })
      .then(
        (info) => {
          reach.answered();
          known = info;
          return info;
        },
        (error: unknown) => {
          reach.failed();
          throw error;
        },
      )
      .finally(() => {
        asking = undefined;
      });
    return asking;
  };

  return {
    answer: async () => {
      const isRemembered = known !== undefined;
      const info = known ?? (await ask().catch(() => Promise.reject(siteAway('info'))));
      const marked = {
        ...info,
        // Direct uploads go around the replica; without them they take /upload/*, which it passes on (protocol §2).
        s3_direct_uploads_enabled: false,
        understudy: { version },
      };
      return jsonAnswer(isRemembered ? 'replica' : 'site', 'info', JSON.stringify(marked));
    },
    run: async (signal) => {
      while (!signal.aborted) {
        await ask().catch(() => {
          // The site is away, as `reach` knows by now; it is asked again.
        });
        if (reach.isAway) await pause(RENEW_WHILE_AWAY_MS, signal);
        else await reach.untilAway(RENEW_MS, signal);
      }
    },
  };
}
