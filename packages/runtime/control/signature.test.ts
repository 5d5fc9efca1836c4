import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AGE_MAX_MS, sign, whyRefused } from './signature.ts';

const message = fc.record({
  id: fc.uuid(),
  service: fc.string(),
  name: fc.string(),
  argument: fc.string(),
  sentAt: fc.date({ noInvalidDate: true, min: new Date('2000-01-01'), max: new Date('2100-01-01') }),
});

test('a message is obeyed as it was signed, and not when any part of it was changed', () => {
  fc.assert(
    fc.property(
      message,
      message,
      fc.constantFrom('id', 'service', 'name', 'argument'),
      (sent, other, part) => {
        const signed = { ...sent, signature: sign('secret', sent) };
        assert.equal(whyRefused('secret', signed, sent.sentAt), null);
        fc.pre(sent[part] !== other[part]);
        assert.match(
          whyRefused('secret', { ...signed, [part]: other[part] }, sent.sentAt) ?? '',
          /signature/,
        );
      },
    ),
  );
});

test('another secret, an old message and one from the future are refused', () => {
  const sent = {
    id: 'a',
    service: 'all',
    name: 'ping',
    argument: '',
    sentAt: new Date('2026-11-24T08:00:00Z'),
  };
  const signed = { ...sent, signature: sign('secret', sent) };
  const at = (ms: number): Date => new Date(sent.sentAt.getTime() + ms);
  assert.match(whyRefused('other', signed, sent.sentAt) ?? '', /signature/);
  assert.match(whyRefused('secret', { ...signed, signature: '' }, sent.sentAt) ?? '', /signature/);
  assert.equal(whyRefused('secret', signed, at(AGE_MAX_MS)), null);
  assert.match(whyRefused('secret', signed, at(AGE_MAX_MS + 1)) ?? '', /old/);
  assert.match(whyRefused('secret', signed, at(-AGE_MAX_MS - 1)) ?? '', /old/);
});

test('the parts of a message cannot be shifted against each other', () => {
  const sentAt = new Date();
  const one = sign('secret', { id: 'a', service: 'all', name: 'log-level', argument: 'x', sentAt });
  const two = sign('secret', { id: 'a', service: 'all', name: 'log-levelx', argument: '', sentAt });
  assert.notEqual(one, two);
});
