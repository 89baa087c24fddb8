import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { doorsOf, makeTree, readTree, resolveImport } from "./tree.ts";

test("the tree holds what git tracks or would track, and nothing that is ignored, deleted or binary", () => {
  const root = mkdtempSync(join(tmpdir(), "tidy-"));
  const write = (name: string, text: string) => writeFileSync(join(root, name), text);
  try {
    execFileSync("git", ["init", "-q"], { cwd: root });
    write(".gitignore", "ignored.ts\n");
    write("ignored.ts", "");
    write("deleted.ts", "");
    execFileSync("git", ["add", "deleted.ts"], { cwd: root });
    rmSync(join(root, "deleted.ts"));
    write("new.ts", "export const a = 1;\n");
    write("weights.bin", "GGUF\0\0");
    const tree = readTree(root);
    assert.deepEqual([...tree.files.keys()], [".gitignore", "new.ts", "weights.bin"]);
    assert.equal(tree.files.get("weights.bin"), "");
    assert.deepEqual([...tree.modules.keys()], ["new.ts"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("doors are read from every form that exports can take", () => {
  assert.deepEqual([...doorsOf({ exports: "./index.ts" })], [[".", ["./index.ts"]]]);
  assert.deepEqual([...doorsOf({ exports: { import: "./index.ts" } })], [[".", ["./index.ts"]]]);
  const conditions = { ".": "./index.ts", "./x": { types: "./x.d.ts", default: "./x.ts" } };
  assert.deepEqual(
    [...doorsOf({ exports: conditions })],
    [
      [".", ["./index.ts"]],
      ["./x", ["./x.d.ts", "./x.ts"]],
    ],
  );
  assert.deepEqual([...doorsOf({})], []);
});

test("an import leads to a file by its path or by the door of its workspace", () => {
  const tree = makeTree({
    "engines/package.json": '{ "exports": { "./adapter": "./adapter.ts" } }',
    "engines/adapter.ts": "",
    "engines/sse.ts": "",
  });
  assert.equal(resolveImport(tree, "engines/fake/main.ts", "../sse.ts"), "engines/sse.ts");
  assert.equal(
    resolveImport(tree, "orchestratord/a.ts", "@llama-orch/engines/adapter"),
    "engines/adapter.ts",
  );
  assert.equal(resolveImport(tree, "orchestratord/a.ts", "@llama-orch/engines/sse"), undefined);
  assert.equal(resolveImport(tree, "orchestratord/a.ts", "typebox"), undefined);
});

test("a broken package.json is an error that names the file", () => {
  assert.throws(() => makeTree({ "core/package.json": "{" }), /core\/package.json is not valid JSON/);
});
