import type { TestEvent } from 'node:test/reporters';

/** The lines of one failure's text that are printed: a difference of thousands of rows says no more in full. */
const MAX_LINES = 40;
const MAX_LINE_LENGTH = 300;
const SLOWEST = 15;

type Failure = { readonly file: string; readonly name: string; readonly text: string };

function shortened(text: string): string {
  const lines = text.split('\n');
  const shown = lines.slice(0, MAX_LINES).map((line) => line.slice(0, MAX_LINE_LENGTH));
  if (lines.length > MAX_LINES) shown.push(`… ${lines.length - MAX_LINES} lines more`);
  return shown.map((line) => `    ${line}`).join('\n');
}

function textOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

/** A test reporter that prints one line a test as it ends, and closes with the slowest files and the failures alone. */
export default async function* closingReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const failures: Failure[] = [];
  const durations = new Map<string, number>();
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const event of source) {
    if (event.type === 'test:stdout' || event.type === 'test:stderr') yield event.data.message;
    else if (event.type === 'test:pass' || event.type === 'test:fail') {
      const { file = '?', name, nesting, details, skip } = event.data;
      const short = file.replace(`${process.cwd()}/`, '');
      const isSuite = details.type === 'suite';
      const seconds = details.duration_ms / 1_000;
      if (nesting === 0) durations.set(short, (durations.get(short) ?? 0) + seconds);
      const skipped = skip !== undefined && skip !== false;
      const mark = event.type === 'test:fail' ? '✖' : skipped ? '–' : '✔';
      yield `${'  '.repeat(nesting)}${mark} ${name} (${seconds.toFixed(1)} s)${nesting === 0 ? `  ${short}` : ''}\n`;
      if (isSuite) continue;
      if (event.type === 'test:fail') {
        counts.failed++;
        failures.push({ file: short, name, text: textOf(event.data.details.error) });
      } else if (skipped) counts.skipped++;
      else counts.passed++;
    }
  }
  yield '\nThe slowest files:\n';
  const slowest = [...durations].sort(([, left], [, right]) => right - left).slice(0, SLOWEST);
  for (const [file, seconds] of slowest) yield `  ${seconds.toFixed(1).padStart(7)} s  ${file}\n`;
  yield `\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`;
  for (const { file, name, text } of failures) yield `\n✖ ${name}  ${file}\n${shortened(text)}\n`;
}
