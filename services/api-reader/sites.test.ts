import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allowedSites, localPath } from './sites.ts';

const sites = allowedSites('https://studio.example.com', ['other.example.com', 'lab.example.com:8443']);

test('the replicated site in front of a path leads to the path', () => {
  for (const target of [
    '/api3/json',
    '/next=studio.example.com/api3/json',
    '/next=STUDIO.example.com/api3/json',
    '/next=studio.example.com:443/api3/json',
    'http://studio.example.com/api3/json',
    'https://studio.example.com/api3/json',
    'HTTP://studio.example.com:443/api3/json',
  ])
    assert.equal(localPath(sites, target), '/api3/json', target);
  assert.equal(localPath(sites, 'http://studio.example.com'), '/');
  assert.equal(localPath(sites, 'http://studio.example.com?a=1'), '/?a=1');
  assert.equal(localPath(sites, '/next=studio.example.com'), '/');
});

test('another allowed site stays in front', () => {
  assert.equal(localPath(sites, '/next=other.example.com/upload/x'), '/next=other.example.com/upload/x');
  assert.equal(
    localPath(sites, 'http://lab.example.com:8443/api3/json'),
    '/next=lab.example.com:8443/api3/json',
  );
});

for (const target of [
  '/next=evil.example.net/api3/json',
  '/next=studio.example.com.evil.net/api3/json',
  '/next=evilstudio.example.com/api3/json',
  '/next=studio.example.com@evil.net/api3/json',
  '/next=evil.net@studio.example.com/api3/json',
  '/next=studio.example.com%40evil.net/api3/json',
  '/next=studio%2Eexample.com/api3/json',
  '/next=studio.example.com%2F@evil.net/',
  '/next=studio.example.com:80/api3/json',
  '/next=lab.example.com/api3/json',
  '/next=127.0.0.1/api3/json',
  '/next=2130706433/',
  '/next=0x7f.1/',
  '/next=[::1]/',
  '/next=localhost:8020/',
  '/next=0177.0.0.1/',
  '/next=0x7f000001/',
  '/next=017700000001/',
  '/next=[::ffff:127.0.0.1]/api3/json',
  '/next=[::ffff:7f00:1]/api3/json',
  '/next=[::]/',
  '/next=0/',
  '/next=studio.example.com./api3/json',
  '/next=.studio.example.com/api3/json',
  '/next=studio.example.com:/api3/json',
  '/next=studio.example.com:0443/api3/json',
  '/next=studio.example.com:443:443/api3/json',
  '/next=studio.example.com:443@evil.net/api3/json',
  '/next=studio.example.com#@evil.net/',
  '/next=studio.example.com?@evil.net/',
  '/next=studio.example.com;evil.net/',
  '/next=studio.example.com evil.net/',
  '/next=studio.example.com%00.evil.net/',
  '/next=%73tudio.example.com/api3/json',
  '/next=%2573tudio.example.com/api3/json',
  '/next=studio%252Eexample.com/api3/json',
  '/next=ｓtudio.example.com/api3/json',
  '/next=studio。example.com/api3/json',
  '/next=__proto__/api3/json',
  '/next=other.example.com/next=evil.net/api3/json',
  '/next=/evil.net/',
  '/next=//evil.net/',
  '/next=studio.example.com/next=evil.net/api3/json',
  '/next=studio.example.com\\@evil.net/',
  'http://evil.net/api3/json',
  'http://studio.example.com@evil.net/',
  'http://user:pass@studio.example.com/',
  'http://169.254.169.254/latest/meta-data',
  'http://2852039166/latest/meta-data',
  'http://[::ffff:169.254.169.254]/latest/meta-data',
  'http://studio.example.com./api3/json',
  'http://studio.example.com:80/api3/json',
  'http://studio.example.com\\@evil.net/',
  'http:///api3/json',
  'http:studio.example.com/api3/json',
  'http://studio.example.com/next=evil.net/',
  'ftp://studio.example.com/',
  'studio.example.com:443',
  '*',
]) {
  test(`${target} leads nowhere`, () => assert.equal(localPath(sites, target), '/next=-/'));
}

test('whatever is asked, a host that is not listed is never reached', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('/next=', 'http://', 'https://', '//', ''), (text, prefix) => {
      const path = localPath(sites, prefix + text);
      assert.ok(path.startsWith('/'));
      const named = /^\/next=([^/]*)/.exec(path)?.[1];
      if (named !== undefined)
        assert.ok(
          ['-', 'other.example.com', 'other.example.com:443', 'lab.example.com:8443'].includes(named),
        );
    }),
  );
});

test('tunnels lead to allowed hosts and their ports only', () => {
  assert.ok(sites.mayTunnelTo('studio.example.com:443'));
  assert.ok(sites.mayTunnelTo('lab.example.com:8443'));
  for (const target of [
    'studio.example.com:22',
    'studio.example.com',
    'lab.example.com:443',
    'evil.net:443',
    '127.0.0.1:443',
    '2130706433:443',
    '0x7f.1:443',
    '0177.0.0.1:443',
    '[::ffff:127.0.0.1]:443',
    'studio.example.com.:443',
    'studio.example.com:0443',
    'studio.example.com:443/',
    'studio.example.com%2e:443',
    'http://studio.example.com:443',
    '__proto__',
    'studio.example.com:443@evil.net:443',
    'x@studio.example.com:443',
    '',
  ])
    assert.ok(!sites.mayTunnelTo(target), target);
});
