import { text as textOf } from 'node:stream/consumers';
import {
  type ExplainedMethod,
  type Explanation,
  explainRead,
} from '@understudy/pipeline/explain/explain-read';
import { CommandFailure, EXIT_NO, EXIT_USAGE } from '../failure.ts';
import { printJson, printLine } from '../output.ts';
import type { RegisterCommand } from './all.ts';

interface ExplainCommandOptions {
  readonly analyze?: true;
  readonly summarize?: true;
}

/** `understudy explain`: would this be answered here? */
export const registerExplain: RegisterCommand = (program, line) => {
  program
    .command('explain')
    .description('say whether a read or summarize would be answered from the replica, why not, and how')
    .argument('<payload>', 'JSON of the payload, or of a whole request of the API; - reads it from stdin')
    .option('--summarize', 'the payload is one of summarize, not of read')
    .option('--analyze', 'measure the plan (EXPLAIN ANALYZE) instead of only showing it')
    .addHelpText(
      'after',
      `
Shows the SQL, its parameters as they are bound now, PostgreSQL's plan, and the time of one run. Credentials and writes
that are under way are not looked at: a reader may pass on what this says is answered here.

Exit code: 0 when the replica answers, 1 when the site does.

Example:
  understudy explain '{"type":"Shot","return_fields":["code"],"filters":{"logical_operator":"and","conditions":[]},
    "paging":{"entities_per_page":10,"current_page":1}}'`,
    )
    .action((argument: string, options: ExplainCommandOptions) =>
      line.run(['site', 'database'], async (parts) => {
        const { method, payload } = callOf(
          argument === '-' ? await textOf(process.stdin) : argument,
          options.summarize === true ? 'summarize' : 'read',
        );
        const explanation = await explainRead(await parts.database(), {
          method,
          payload,
          siteUrl: parts.config.site.url,
          generation: parts.config.reader.generation,
          maxLagMs: parts.config.reader.maxLagMs,
          analyze: options.analyze === true,
        });
        if (parts.json) printJson(explanation);
        else print(explanation);
        if (!explanation.isAnswered) process.exitCode = EXIT_NO;
      }),
    );
};

/** Takes a payload, or the envelope of a request (protocol §1.1), whose credentials are not looked at. */
function callOf(json: string, method: ExplainedMethod): { method: ExplainedMethod; payload: unknown } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw new CommandFailure(`the payload is not JSON: ${(error as Error).message}`, EXIT_USAGE);
  }
  if (typeof parsed !== 'object' || parsed === null || !Object.hasOwn(parsed, 'method_name'))
    return { method, payload: parsed };
  const { method_name: name, params } = parsed as { readonly method_name: unknown; readonly params: unknown };
  if (name !== 'read' && name !== 'summarize')
    throw new CommandFailure(`only read and summarize can be explained, not ${String(name)}`, EXIT_USAGE);
  return { method: name, payload: Array.isArray(params) ? (params[1] as unknown) : undefined };
}

function print({ isAnswered, reason, detail, statement, generation, lagMs }: Explanation): void {
  printLine(
    isAnswered ? 'Answered from the replica.' : `Passed through to the site: ${detail ?? reason ?? ''}.`,
  );
  printLine(
    `Generation ${generation ?? 'none'}, ${lagMs === null ? 'never polled' : `${Math.round(lagMs)} ms behind the site`}.`,
  );
  if (statement === null) return;
  printLine(`\n${statement.sql}\n`);
  for (const [index, value] of statement.params.entries())
    printLine(`  $${index + 1} = ${JSON.stringify(value)}`);
  printLine(`\n${statement.plan.map((text) => `  ${text}`).join('\n')}`);
  printLine(`\n${statement.rows} rows in ${statement.ms.toFixed(1)} ms.`);
}
