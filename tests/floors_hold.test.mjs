// The house has floors: a file of lib/ includes only from its own floor or a lower one, and outside libraries stay where
// they belong.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const lib = join(dirname(fileURLToPath(import.meta.url)), '..', 'lib');
const floors = { base: 0, loop: 1, services: 2, records: 3, engine: 4, push: 4, api: 5 };
const homes = {
  'hiredis/': [/^services\/redis/],
  'crypt.h': ['services/password.c'],
  'curl/': [/^services\/http/, 'services/sent.c', /^services\/redis/],	// sent.c: in a thread of the pool, without a loop
  'fcgiapp.h': ['services/fcgi.c'],
  'sodium.h': ['services/crypto.c', 'services/vault.c'],
  'json-c/': ['base/json.c'],
  'jwt.h': ['services/jwt.c'],
  'sqlite3.h': [/^services\/search/],
  'wslay/': ['push/frames.c'],
  'zlib.h': ['base/gzip.c'],
};

const files = Object.keys(floors).flatMap((floor) =>
  readdirSync(join(lib, floor), { withFileTypes: true })
    .filter((f) => f.isFile() && /\.[ch]$/.test(f.name))
    .map((f) => `${floor}/${f.name}`));

const includes = (file) =>
  [...readFileSync(join(lib, file), 'utf8').matchAll(/^#\s*include\s+[<"]([^>"]+)[>"]/gm)].map((m) => m[1]);

test('a file calls only downwards', () => {
  assert.ok(files.length > 40, 'the files are found');
  for (const file of files) {
    const own = floors[file.split('/')[0]];
    for (const name of includes(file)) {
      const other = floors[name.split('/')[0]];
      if (other !== undefined) assert.ok(other <= own, `${file} includes ${name} from above`);
    }
  }
});

test('an outside library is known in one place', () => {
  for (const file of files) {
    for (const name of includes(file)) {
      for (const [library, allowed] of Object.entries(homes)) {
        if (!name.startsWith(library)) continue;
        const home = allowed.some((a) => (a instanceof RegExp ? a.test(file) : a === file));
        assert.ok(home, `${file} includes ${name}`);
      }
    }
  }
});
