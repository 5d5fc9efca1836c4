import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import type { Key, Section } from './key.ts';
import { type Config, SECTIONS } from './sections.ts';

/** A configuration that cannot be used; `problems` are lines for people and never hold a secret's value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** Something a process cannot do without. */
export type Need = 'site' | 'database';

export interface ConfigSources {
  /** What must be given by whoever starts the process. */
  readonly needs: readonly Need[];
  /** Flags; default: none. */
  readonly argv?: readonly string[];
  /** Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** `site`, `scriptKey` → `UNDERSTUDY_SITE_SCRIPT_KEY`. */
export function environmentName(section: string, key: string): string {
  return `UNDERSTUDY_${section}_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`)}`.toUpperCase();
}

/** `site`, `scriptKey` → `site-script-key` (without the dashes in front). */
export function flagName(section: string, key: string): string {
  return `${section}-${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Environment names that platforms set, besides our own. */
const WELL_KNOWN: Readonly<Record<string, string>> = {
  'database.url': 'DATABASE_URL',
  'queue.url': 'QUEUE_URL',
};

const NEEDS: Readonly<Record<Need, readonly string[]>> = {
  site: ['site.url', 'site.scriptName', 'site.scriptKey'],
  database: ['database.url'],
};

/** Of each pair both are given, or neither. */
const TOGETHER = [['reader.tlsCertificateFile', 'reader.tlsKeyFile']] as const;

/** Every key with its section, in the order of the file. */
export function* allKeys(): Generator<{ section: string; key: string; definition: Key<unknown> }> {
  for (const [section, keys] of Object.entries<Section>(SECTIONS as unknown as Record<string, Section>)) {
    for (const [key, definition] of Object.entries(keys)) yield { section, key, definition };
  }
}

/**
 * The configuration from defaults, overridden by the YAML file (`--config` or UNDERSTUDY_CONFIG), overridden by the
 * environment, overridden by flags. An empty environment variable counts as not set.
 * @throws ConfigError naming every unknown key and wrong value at once.
 */
export function loadConfig(sources: ConfigSources): Config {
  const env = sources.env ?? process.env;
  const problems: string[] = [];
  const flags = readFlags(sources.argv ?? [], problems);
  refuseUnknownNames(env, problems);
  const path = flags['config'] ?? env['UNDERSTUDY_CONFIG'];
  const file = path === undefined || path === '' ? {} : readFile(path, problems);
  const config: Record<string, Record<string, unknown>> = {};
  for (const { section, key, definition } of allKeys()) {
    const name = `${section}.${key}`;
    const wellKnown = WELL_KNOWN[name];
    const given: readonly (readonly [string, unknown])[] = [
      [`--${flagName(section, key)}`, flags[flagName(section, key)]],
      [environmentName(section, key), env[environmentName(section, key)] || undefined],
      [wellKnown ?? '', wellKnown === undefined ? undefined : env[wellKnown] || undefined],
      [`${path}: ${name}`, file[section]?.[key]],
    ];
    const [source, value] = given.find(([, candidate]) => candidate !== undefined) ?? [
      'default',
      definition.initial,
    ];
    const parsed = definition.schema.safeParse(value);
    config[section] ??= {};
    if (parsed.success) config[section][key] = parsed.data;
    else problems.push(`${source}: ${parsed.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  for (const need of sources.needs) {
    for (const name of NEEDS[need]) {
      const [section = '', key = ''] = name.split('.');
      if (config[section]?.[key] === '') {
        problems.push(`${name} is needed: set ${WELL_KNOWN[name] ?? environmentName(section, key)}`);
      }
    }
  }
  const isGiven = (name: string): boolean => {
    const [section = '', key = ''] = name.split('.');
    return (config[section]?.[key] ?? '') !== '';
  };
  for (const [one, other] of TOGETHER) {
    if (isGiven(one) !== isGiven(other)) problems.push(`${one} and ${other} are needed together`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const queue = config['queue'];
  if (queue !== undefined && queue['url'] === '') queue['url'] = config['database']?.['url'];
  return config as unknown as Config;
}

function readFlags(argv: readonly string[], problems: string[]): Record<string, string | undefined> {
  const options: Record<string, { type: 'string' }> = { config: { type: 'string' } };
  for (const { section, key } of allKeys()) options[flagName(section, key)] = { type: 'string' };
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false });
    return values as Record<string, string | undefined>;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // Its own message shows the word, which may be the value of a secret behind a blank too many.
    if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL')
      problems.push('something that is no flag was given; flags are written --name value or --name=value');
    else problems.push(error instanceof Error ? error.message : String(error));
    return {};
  }
}

/** What Kubernetes tells each container of a Service that is called understudy-…. */
const SERVICE_LINK = /_SERVICE_(HOST|PORT)(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$/;

function refuseUnknownNames(env: Readonly<Record<string, string | undefined>>, problems: string[]): void {
  const known = new Set(['UNDERSTUDY_CONFIG']);
  for (const { section, key } of allKeys()) known.add(environmentName(section, key));
  for (const name of Object.keys(env)) {
    if (!name.startsWith('UNDERSTUDY_') || known.has(name) || SERVICE_LINK.test(name)) continue;
    problems.push(`unknown environment name ${name}`);
  }
}

function readFile(path: string, problems: string[]): Record<string, Record<string, unknown>> {
  const known = new Map<string, Set<string>>();
  for (const { section, key } of allKeys()) {
    const keys = known.get(section) ?? new Set();
    known.set(section, keys.add(key));
  }
  let content: unknown;
  try {
    content = parseYaml(readFileSync(path, 'utf8')) ?? {};
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // After the first line of its message YAML shows lines of the file, which may hold a secret.
    problems.push(`${path}: ${error instanceof YAMLParseError ? message.split(/:?\n/, 1)[0] : message}`);
    return {};
  }
  const file: Record<string, Record<string, unknown>> = {};
  if (!isMapping(content)) {
    problems.push(`${path}: must be a mapping of sections`);
    return {};
  }
  for (const [section, keys] of Object.entries(content)) {
    const names = known.get(section);
    if (names === undefined) problems.push(`${path}: unknown section ${section}`);
    else if (!isMapping(keys)) problems.push(`${path}: ${section} must be a mapping`);
    else {
      for (const [key, value] of Object.entries(keys)) {
        if (!names.has(key)) problems.push(`${path}: unknown key ${section}.${key}`);
        else if (value === null) problems.push(`${path}: ${section}.${key} has no value`);
      }
      file[section] = keys;
    }
  }
  return file;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
