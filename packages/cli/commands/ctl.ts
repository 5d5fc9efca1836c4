import { MESSAGES, messageNamed } from '@understudy/runtime/control/messages/all';
import { type Reply, sendAndWait } from '@understudy/runtime/control/send';
import { InvalidArgumentError } from 'commander';
import { CommandFailure, EXIT_CONFIG, EXIT_NO, EXIT_USAGE } from '../failure.ts';
import { printJson, printTable } from '../output.ts';
import type { RegisterCommand } from './all.ts';

interface CtlOptions {
  /** Seconds to wait for all answers. */
  readonly timeout?: number;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('must be more than 0');
  return value;
}

const messageLines = MESSAGES.map(({ name, argument, doc }) => {
  const call = argument === null ? name : `${name} <${argument.name}>`;
  return `  ${call.padEnd(20)} ${doc}`;
}).join('\n');

/** `understudy ctl`: tells running services something, and shows what each instance answered. */
export const registerCtl: RegisterCommand = (program, line) => {
  program
    .command('ctl')
    .description('tell every running instance of a service something, and show what each answers')
    .argument('<service>', 'event-poller, applier, scanner, api-reader, dashboard, …, or all')
    .argument('<message>', 'one of those below')
    .argument('[argument]', 'what the message needs')
    .option('--timeout <seconds>', 'how long to wait for all answers (default: 5, for drain 60)', seconds)
    .addHelpText(
      'after',
      `
Messages:
${messageLines}

Messages are signed with control.secret, which must be the same here and at the services, and are worth nothing after
30 seconds. Exit code: 0 when each instance did it or has nothing to do, and at least one did it; 1 otherwise.

Examples:
  understudy ctl all ping
  understudy ctl event-poller poll
  understudy ctl applier log-level debug`,
    )
    .action((service: string, name: string, argument: string | undefined, options: CtlOptions) =>
      line.run(['database'], async ({ config, database, json, signal }) => {
        const kind = messageNamed(name);
        if (kind === undefined) {
          const known = MESSAGES.map((message) => message.name).join(', ');
          throw new CommandFailure(`there is no message ${name}; there are ${known}`, EXIT_USAGE);
        }
        if (kind.argument === null && argument !== undefined) {
          throw new CommandFailure(`${name} takes no argument`, EXIT_USAGE);
        }
        const checked = kind.argument?.schema.safeParse(argument ?? '');
        if (checked?.success === false) {
          const problem = checked.error.issues.map((issue) => issue.message).join('; ');
          throw new CommandFailure(`${name} needs a ${kind.argument?.name}: ${problem}`, EXIT_USAGE);
        }
        const { secret } = config.control;
        if (secret === '') {
          throw new CommandFailure('control.secret is not set: services take no messages', EXIT_CONFIG);
        }
        const { pool } = await database();
        const replies = await sendAndWait(pool, {
          secret,
          service,
          kind,
          argument: argument ?? '',
          timeoutMs: options.timeout === undefined ? kind.timeoutMs : options.timeout * 1_000,
          signal,
        });
        if (json) printJson(replies);
        else if (replies.length > 0) printReplies(replies);
        if (replies.length === 0) {
          throw new CommandFailure(service === 'all' ? 'nothing runs' : `no ${service} runs`, EXIT_NO);
        }
        const isWell = ({ outcome }: Reply): boolean =>
          outcome === 'done' || (outcome === 'nothing' && replies.some((reply) => reply.outcome === 'done'));
        if (!replies.every(isWell)) throw new CommandFailure('not every instance did it', EXIT_NO);
      }),
    );
};

function printReplies(replies: readonly Reply[]): void {
  printTable(
    ['SERVICE', 'INSTANCE', 'VERSION', 'GENERATION', 'OUTCOME', ''],
    replies.map((reply) => [
      reply.service,
      reply.instance,
      'version' in reply ? reply.version : '–',
      'generation' in reply ? (reply.generation ?? '–') : '–',
      reply.outcome,
      reply.said,
    ]),
  );
}
