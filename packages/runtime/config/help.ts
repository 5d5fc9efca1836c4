import { allKeys, environmentName, flagName } from './load.ts';

/**
 * What `--help` prints: every configuration key with its flag, environment name, default and meaning.
 * @param service name of the process.
 */
export function configHelp(service: string): string {
  const lines = [
    `${service}: every key may be given in a YAML file (--config FILE or UNDERSTUDY_CONFIG), overridden by the`,
    'environment, overridden by flags. DATABASE_URL and QUEUE_URL are understood as well.',
    '',
  ];
  let shown = '';
  for (const { section, key, definition } of allKeys()) {
    if (section !== shown) {
      lines.push(`${section}:`);
      shown = section;
    }
    const initial = definition.initial;
    const fallback =
      initial === '' || (Array.isArray(initial) && initial.length === 0) ? 'none' : String(initial);
    lines.push(
      `  --${flagName(section, key)}  (${environmentName(section, key)})`,
      `      ${definition.doc}; default: ${fallback}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
