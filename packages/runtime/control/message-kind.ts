import type { z } from 'zod';
import type { ControlTarget, Outcome } from './target.ts';

/** One message that running services understand. */
export interface MessageKind {
  readonly name: string;
  /** What it does, for `--help`. */
  readonly doc: string;
  /** What must be given with it. */
  readonly argument: { readonly name: string; readonly schema: z.ZodType<string> } | null;
  /** How long its sender waits for all answers unless told otherwise. */
  readonly timeoutMs: number;
  /** Whether the processes that did it end, and are waited for. */
  readonly ends: boolean;
  handle(target: ControlTarget, argument: string): Promise<Outcome>;
}

/** Handling takes next to nothing: whoever does not answer by then hangs. */
export const QUICK_MS = 5_000;
