import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

export interface Page {
  readonly html: string;
  /** What the page may do: run its own script, ask this address, and nothing else. */
  readonly policy: string;
}

/** Hash of the one inline element of that name, for the content security policy. @throws Error if there is not one. */
function inlineHash(html: string, element: 'style' | 'script'): string {
  const found = [...html.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, 'g'))];
  const content = found[0]?.[1];
  if (found.length !== 1 || content === undefined) throw new Error(`the page must have one <${element}>`);
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`;
}

/** Reads the status page. */
export async function readPage(): Promise<Page> {
  const html = await readFile(new URL('page.html', import.meta.url), 'utf8');
  const policy = [
    "default-src 'none'",
    `script-src ${inlineHash(html, 'script')}`,
    `style-src ${inlineHash(html, 'style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { html, policy };
}
