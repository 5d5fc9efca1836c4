import { allKeys, environmentName, flagName } from './load.ts';

/** `docs/configuration.md`: every key with its flag, environment name, default and meaning. */
export function configMarkdown(): string {
  const lines = [
    '# Configuration',
    '',
    'This page is made by `understudy config --markdown`; a test sees to it that it is current.',
    '',
    'Every process takes the same configuration. A key is looked for in this order:',
    '',
    '1. a flag, `--site-url https://…`;',
    '2. the environment, `UNDERSTUDY_SITE_URL=https://…` (also `DATABASE_URL` and `QUEUE_URL`, as platforms set them);',
    '3. the YAML file named by `--config FILE` or `UNDERSTUDY_CONFIG`: sections, and keys within them;',
    '4. the default.',
    '',
    'An unknown key (in the environment: an unknown name that begins with UNDERSTUDY_) or a wrong value ends a process at its',
    'start with exit code 78 and all faults at once. Secrets never appear in a log. Times are milliseconds.',
    '',
    '```yaml',
    'site:',
    '  url: https://studio.example.com',
    '  scriptName: understudy',
    'reader:',
    '  port: 8010',
    '```',
  ];
  let shown = '';
  for (const { section, key, definition } of allKeys()) {
    if (section !== shown) {
      lines.push('', `## ${section}`, '', '| key | environment | default | meaning |', '|---|---|---|---|');
      shown = section;
    }
    const { initial } = definition;
    const none = initial === '' || (Array.isArray(initial) && initial.length === 0);
    const cells = [
      `\`${section}.${key}\`<br>\`--${flagName(section, key)}\``,
      `\`${environmentName(section, key)}\``,
      none ? 'none' : `\`${String(initial)}\``,
      `${definition.doc}${definition.secret ? ' (secret)' : ''}`.replaceAll('|', '\\|'),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}
