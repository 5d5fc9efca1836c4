import { styleText } from 'node:util';
import type { Config } from '@understudy/runtime/config/sections';

/** What is printed once everything is up: where everything is, and how to try it. */
export function welcome(options: {
  readonly config: Config;
  readonly readerUrl: string;
  readonly dashboardUrl: string;
  /** A script that may read through the replica. */
  readonly client: { readonly name: string; readonly key: string };
}): readonly string[] {
  const { config, readerUrl, dashboardUrl, client } = options;
  const strong = (text: string): string => styleText('bold', text);
  return [
    '',
    `  ${strong('Understudy runs.')}`,
    `  replica     ${strong(readerUrl)}    point shotgun_api3 at this`,
    `  dashboard   ${strong(dashboardUrl)}`,
    `  site        ${config.site.url}`,
    `  database    ${config.database.url}`,
    `  script      ${client.name}    key ${client.key}`,
    '',
    '    from shotgun_api3 import Shotgun',
    `    sg = Shotgun("${readerUrl}", "${client.name}", "${client.key}")`,
    '    print(sg.find_one("Shot", [], ["code", "sg_status_list", "project"]))',
    '',
    '  bin/understudy status tells how it goes; Ctrl-C stops everything.',
    '',
  ];
}
