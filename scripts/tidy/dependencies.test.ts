import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDependencies, checkLock } from "./dependencies.ts";
import { makeTree } from "./tree.ts";

const head = "| Package | Purpose | Licence | Reason |\n|---|---|---|---|\n";
const row = (name: string) => `| \`${name}\` | schemas | MIT | types come with them |\n`;
const manifest = '{\n"dependencies": {\n"typebox": "1.4.3", "@llama-orch/core": "*"\n}\n}';
const good = { "package.json": manifest, "docs/dependencies.md": head + row("typebox") };
const noRow = "typebox has no row in docs/dependencies.md; write down its purpose, licence and reason.";

test("every dependency has its row, and a workspace of ours needs none", () => {
  assert.deepEqual(checkDependencies(makeTree(good)), []);
  assert.deepEqual(checkDependencies(makeTree({ ...good, "docs/dependencies.md": head })), [
    { path: "package.json", line: 3, message: noRow },
  ]);
  assert.deepEqual(checkDependencies(makeTree({ "package.json": manifest })), [
    {
      path: "package.json",
      line: 1,
      message: "docs/dependencies.md is missing; write a table with a row for each.",
    },
  ]);
});

test("every row is about a real dependency and is complete", () => {
  const text = `${head}| \`typebox\` | schemas | | why |\n${row("express")}`;
  assert.deepEqual(checkDependencies(makeTree({ ...good, "docs/dependencies.md": text })), [
    { path: "docs/dependencies.md", line: 3, message: "The row of typebox has no licence; fill it in." },
    { path: "docs/dependencies.md", line: 4, message: "No package.json depends on express; delete its row." },
  ]);
});

test("versions are exact, except that a peer may be a range", () => {
  const loose = { ...good, "package.json": '{ "devDependencies": { "typebox": "^1.4.3" } }' };
  assert.deepEqual(checkDependencies(makeTree(loose)), [
    {
      path: "package.json",
      line: 1,
      message:
        "typebox has the version ^1.4.3; write an exact one, so that only the lock file decides about updates.",
    },
  ]);
  const peer = { ...good, "package.json": '{ "peerDependencies": { "typebox": "^1.4.3" } }' };
  assert.deepEqual(checkDependencies(makeTree(peer)), []);
});

function lockFaults(packages: object): string[] {
  const lock = JSON.stringify({ packages }, null, 1);
  return checkLock(makeTree({ ...good, "package-lock.json": lock })).map(
    ({ path, line, message }) => `${path}:${line} ${message}`,
  );
}

test("the lock file names no registry", () => {
  const link = { "node_modules/@llama-orch/core": { resolved: "core", link: true } };
  assert.deepEqual(lockFaults({ ...link, "node_modules/typebox": { version: "1.4.3" } }), []);
  assert.deepEqual(
    lockFaults({ "node_modules/typebox": { version: "1.4.3", resolved: "https://example.org/t.tgz" } }),
    [
      "package-lock.json:3 The entry node_modules/typebox has a resolved address; " +
        "install with omit-lockfile-registry-resolved=true.",
    ],
  );
});

test("the lock file holds every dependency in the version that is asked for", () => {
  assert.deepEqual(lockFaults({}), [
    "package.json:3 typebox is not in package-lock.json; run npm install and commit the lock file.",
  ]);
  assert.deepEqual(lockFaults({ "node_modules/typebox": { version: "1.4.2" } }), [
    "package.json:3 typebox is 1.4.2 in package-lock.json and 1.4.3 here; run npm install.",
  ]);
});
