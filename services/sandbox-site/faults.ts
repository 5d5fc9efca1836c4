import { z } from 'zod';

/** How the sandbox misbehaves, changed at run time over its admin endpoint. Shares are from 0 to 1. */
const everyFault = z.object({
  /** Every connection is closed without an answer. */
  outage: z.boolean(),
  latencyMs: z.number().min(0).max(60_000),
  /** Share of requests answered with 502. */
  errorRate: z.number().min(0).max(1),
  /** Share of requests whose connection is closed, after their work was done. */
  closeRate: z.number().min(0).max(1),
  /** Share of writes whose events become visible late, and after how long. */
  lateRate: z.number().min(0).max(1),
  lateMs: z.number().min(0).max(600_000),
  /** Share of writes that also take an event id which is never filled. */
  lostIdRate: z.number().min(0).max(1),
  /** Share of writes that make no event at all. */
  silentRate: z.number().min(0).max(1),
  /** Names of scripts and logins that are refused. */
  revoked: z.array(z.string()),
});

export type Faults = z.infer<typeof everyFault>;

/** A change of some of them. */
export const faultsSchema = everyFault.partial().strict();

export const NO_FAULTS: Faults = {
  outage: false,
  latencyMs: 0,
  errorRate: 0,
  closeRate: 0,
  lateRate: 0,
  lateMs: 2_000,
  lostIdRate: 0,
  silentRate: 0,
  revoked: [],
};
