import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Lines of output that are kept of a child, to show when a test fails. */
const KEPT_LINES = 200;
/** Those that are shown at once of a child that failed by itself. */
const LAST_LINES = 10;

/** A real process of the product, under a test's command. */
export class ProductProcess {
  readonly name: string;
  readonly #command: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  #lines: string[] = [];
  /** Children that were told to end. */
  readonly #told = new WeakSet<ChildProcess>();

  constructor(name: string, command: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#command = command;
    this.#env = env;
  }

  /** Whether it runs now. */
  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The last lines of its output, both streams. */
  get output(): string {
    return this.#lines.join('\n');
  }

  start(): void {
    if (this.running) throw new Error(`${this.name} runs already`);
    const [file, ...args] = this.#command;
    if (file === undefined) throw new Error('no command');
    const child = spawn(file, args, { cwd: ROOT, env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#lines.push(...text.split('\n').filter((line) => line !== ''));
        this.#lines = this.#lines.slice(-KEPT_LINES);
      });
    }
    // Whoever waits for what it would have done times out, and could not say why.
    child.once('close', (code, signal) => {
      if (code === 0 || this.#told.has(child)) return;
      const lines = this.#lines.slice(-LAST_LINES).join('\n');
      console.error(`${this.name} ended by itself (${code ?? signal}):\n${lines}`);
    });
    this.#child = child;
  }

  /** Sends a signal that does not end it, SIGSTOP for instance. */
  signal(signal: NodeJS.Signals): void {
    if (!this.running) throw new Error(`${this.name} does not run`);
    this.#child?.kill(signal);
  }

  /** Sends a signal and waits for the end. @returns the exit code, null if a signal ended it. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.running) return child?.exitCode ?? null;
    const ended = once(child, 'exit');
    this.#told.add(child);
    child.kill(signal);
    await ended;
    return child.exitCode;
  }
}
