import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { Reserve } from "./reserve.ts";

const mib = 2 ** 20;

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "reserve-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "reserve");
}

function make(reserve: Reserve): number {
  let pieces = 0;
  for (; !reserve.isMade; pieces++) reserve.grow();
  return pieces;
}

test("a reserve is made in pieces, holds real room, and is given back whole", (t) => {
  const path = place(t);
  const reserve = new Reserve({ path, bytes: 2.5 * mib });
  assert.equal(make(reserve), 3);
  assert.equal(statSync(path).size, 2.5 * mib);
  assert.ok(deflateRawSync(readFileSync(path), { level: 1 }).length > 2.4 * mib);
  reserve.giveBack();
  assert.equal(existsSync(path), false);
  assert.equal(reserve.isMade, false);
  assert.equal(make(reserve), 3);
});

test("what an earlier process made of it counts, and one that is too large is made anew", (t) => {
  const path = place(t);
  writeFileSync(path, Buffer.alloc(mib));
  assert.equal(make(new Reserve({ path, bytes: 2 * mib })), 1);
  assert.equal(new Reserve({ path, bytes: 2 * mib }).isMade, true);
  const smaller = new Reserve({ path, bytes: mib });
  assert.equal(smaller.isMade, false);
  assert.equal(existsSync(path), false);
});

test("it is not begun where the disk has no room for it and a quarter more", (t) => {
  const path = place(t);
  assert.equal(new Reserve({ path, bytes: 2 ** 60 }).hasRoom(), false);
  assert.equal(new Reserve({ path, bytes: mib }).hasRoom(), true);
});
