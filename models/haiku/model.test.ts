// The model file that is checked in is the one its sha256 and its card speak of.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

const read = (name: string) => readFileSync(join(import.meta.dirname, name));
const file = read("haiku.gguf");
const digest = createHash("sha256").update(file).digest("hex");

test("the model has the sha256 that lies beside it and that its card names", () => {
  assert.equal(read("haiku.gguf.sha256").toString(), `${digest}  haiku.gguf\n`);
  assert.ok(read("README.md").includes(digest));
});

test("the model is a GGUF of version 3 and about a megabyte", () => {
  assert.equal(file.toString("latin1", 0, 4), "GGUF");
  assert.equal(file.readUInt32LE(4), 3);
  assert.ok(file.length > 1_000_000 && file.length < 1_200_000);
});
