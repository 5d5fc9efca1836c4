import { z } from 'zod';

/** How the sandbox misbehaves, changed at run time over its admin endpoint. Shares are from 0 to 1. */
const everyFault = z.object({
  /** Every connection is closed without an answer. */
  outage: z.boolean(),
  latencyMs: z.number().min(0).max(60_000),
  /** Up to so much is added to it, at random. */
  jitterMs: z.number().min(0).max(60_000),
  /** Share of requests answered with a status of failure, and which. */
  errorRate: z.number().min(0).max(1),
  errorStatus: z.number().int().min(400).max(599),
  /** More requests a second than this are refused with 429; 0: none are. */
  requestsPerSecond: z.number().min(0),
  /** Share of requests whose connection is closed before their work is done, and after. */
  closeBeforeRate: z.number().min(0).max(1),
  closeRate: z.number().min(0).max(1),
  /** Share of writes whose events become visible late, and after how long. */
  lateRate: z.number().min(0).max(1),
  lateMs: z.number().min(0).max(600_000),
  /** Share of writes that also take an event id which is never filled. */
  lostIdRate: z.number().min(0).max(1),
  /** Share of writes that make no event at all. */
  silentRate: z.number().min(0).max(1),
  /** Names of scripts and logins that are refused, their sessions too. */
  revoked: z.array(z.string()),
  /** Logins that need a second factor. */
  twoFactor: z.array(z.string()),
  /** Whether passwords are refused because of single sign-on, or of Autodesk Identity (protocol §1.3). */
  sso: z.boolean(),
  identity: z.boolean(),
  /** How long a signed link to a file is good. */
  linkLifetimeMs: z.number().min(0),
  /** How long it takes until an uploaded thumbnail is ready. */
  thumbnailMs: z.number().min(0).max(600_000),
  /** Whether files can be uploaded straight to the storage (protocol §2, §5.10). */
  directUploads: z.boolean(),
  /** Whether a file is served to a session's cookie alone, even where clients never send it (protocol §5.10). */
  requireCookie: z.boolean(),
  /** Ids of attachments whose malware scan is under way, and of those that it found bad. */
  scanning: z.array(z.number().int()),
  quarantined: z.array(z.number().int()),
  /** How long a session token lives unused. */
  sessionLifetimeMs: z.number().min(0),
});

export type Faults = z.infer<typeof everyFault>;

/** A change of some of them. */
export const faultsSchema = everyFault.partial().strict();

export const NO_FAULTS: Faults = {
  outage: false,
  latencyMs: 0,
  jitterMs: 0,
  errorRate: 0,
  errorStatus: 502,
  requestsPerSecond: 0,
  closeBeforeRate: 0,
  closeRate: 0,
  lateRate: 0,
  lateMs: 2_000,
  lostIdRate: 0,
  silentRate: 0,
  revoked: [],
  twoFactor: [],
  sso: false,
  identity: false,
  linkLifetimeMs: 900_000,
  thumbnailMs: 10_000,
  directUploads: false,
  requireCookie: false,
  scanning: [],
  quarantined: [],
  sessionLifetimeMs: 24 * 3_600_000,
};

/** Reads faults as JSON, as a flag gives them; empty for none. @throws ZodError, SyntaxError */
export function parseFaults(text: string): Partial<Faults> {
  const parsed = faultsSchema.parse(text === '' ? {} : JSON.parse(text));
  return Object.fromEntries(Object.entries(parsed).filter(([, value]) => value !== undefined));
}
