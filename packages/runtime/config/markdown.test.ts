import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { configMarkdown } from './markdown.ts';

test('docs/configuration.md is current: bin/understudy config --markdown > docs/configuration.md makes it so', async () => {
  const page = await readFile(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  assert.equal(page, configMarkdown());
});
