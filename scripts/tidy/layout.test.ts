import assert from "node:assert/strict";
import { test } from "node:test";
import { checkExports, checkHeaders } from "./layout.ts";
import { makeTree } from "./tree.ts";

test("a file without a header is told so", () => {
  const message = "The file has no header; open it with a comment of one to five sentences on what it owns.";
  for (const text of [
    "const a = 1;",
    "const a = 1; // owns nothing",
    "// tidy: sizes: it is one table\n",
    "//\n1;",
  ]) {
    assert.deepEqual(
      checkHeaders(makeTree({ "core/a.ts": text })),
      [{ path: "core/a.ts", line: 1, message }],
      text,
    );
  }
});

test("a header of either form is a header, after a hashbang too", () => {
  for (const text of [
    "// Owns the queue.\n",
    "/** Owns the queue. */\n",
    "#!/usr/bin/env node\n// Owns the queue.\n",
  ]) {
    assert.deepEqual(checkHeaders(makeTree({ "core/a.ts": text })), [], text);
  }
  assert.deepEqual(checkHeaders(makeTree({ "core/a.test.ts": "const a = 1;" })), []);
});

test("a barrel stands only at the root of a workspace", () => {
  const tree = makeTree({ "core/index.ts": "", "core/queue/index.ts": "" });
  assert.deepEqual(checkExports(tree), [
    {
      path: "core/queue/index.ts",
      line: 1,
      message:
        "A barrel stands only at the root of a workspace (core/index.ts); name this file after its main export.",
    },
  ]);
});

test("exports have names, except where a tool demands a default", () => {
  const message = "A default export has a different name in every importer; export it by its name.";
  for (const text of ["\nexport default 1;", "\nexport { a as default };"]) {
    assert.deepEqual(
      checkExports(makeTree({ "core/a.ts": text })),
      [{ path: "core/a.ts", line: 2, message }],
      text,
    );
  }
  assert.deepEqual(checkExports(makeTree({ "core/a.ts": "export { a as b };" })), []);
  assert.deepEqual(checkExports(makeTree({ "dashboard/vite.config.ts": "export default {};" })), []);
});
