import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutSignature } from './signed-address.ts';

test('what signs an address goes, what names the file stays', () => {
  const bare = 'https://media.example.com/ab/cd/thumb_t.jpg';
  for (const [address, lasting] of [
    [`${bare}?X-Amz-Signature=1&X-Amz-Expires=2&x-amz-date=3`, bare],
    [`${bare}?AWSAccessKeyId=1&Expires=2&Signature=3`, bare],
    [`${bare}?id=7&Signature=3&size=s`, `${bare}?id=7&size=s`],
    [`${bare}?`, bare],
    [bare, bare],
    ['not an address', 'not an address'],
  ] as const)
    assert.equal(withoutSignature(address), lasting);
});
