import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAll, rules } from "./rules.ts";
import { makeTree } from "./tree.ts";

/** A house so small that only what a test adds to it can be wrong. */
const house = {
  "package.json": '{ "workspaces": ["core"] }',
  "core/package.json": JSON.stringify({
    name: "@llama-orch/core",
    exports: "./index.ts",
    scripts: { pretest: "node ../scripts/setup.js", test: "node ../scripts/test.ts ." },
  }),
  "core/index.ts": "// The door of the decisions.\n",
  "core/index.test.ts": "",
};

function complaints(text: string): string[] {
  const files = { ...house, "core/index.ts": `// The door of the decisions.\n${text}` };
  return checkAll(makeTree(files)).map(
    ({ path, line, rule, message }) => `${path}:${line} ${rule}: ${message}`,
  );
}

test("a Date.now() put into core/ turns tidy red", () => {
  assert.deepEqual(complaints(""), []);
  assert.deepEqual(complaints("export const startedMs = Date.now();\n"), [
    "core/index.ts:2 pure: The global `Date` must not appear in core/; " +
      "time, chance and answers arrive inside events, and work leaves as effects. " +
      "What only calculates may be added to the list in scripts/tidy/pure.ts.",
  ]);
});

test("a file may break a rule with a reason", () => {
  assert.equal(complaints("export default 1;\n").length, 1);
  assert.deepEqual(complaints("// tidy: exports: the sandbox asks for a default\nexport default 1;\n"), []);
});

test("an exception without a reason, without a need or from a firm rule is a problem", () => {
  assert.deepEqual(complaints("// tidy: exports\nexport default 1;\n"), [
    "core/index.ts:2 exceptions: The exception from exports gives no reason; write // tidy: exports: why.",
    "core/index.ts:3 exports: A default export has a different name in every importer; export it by its name.",
  ]);
  assert.deepEqual(complaints("// tidy: exports: the sandbox asks for a default\n"), [
    "core/index.ts:2 exceptions: Nothing here breaks exports any more; delete the exception.",
  ]);
  const twice = "// tidy: exports: the sandbox asks for a default\n".repeat(2);
  assert.deepEqual(complaints(`${twice}export default 1;\n`), [
    "core/index.ts:3 exceptions: The exception from exports stands twice; keep one.",
  ]);
  const [first, second] = complaints("// tidy: pure: only for a moment\nexport const atMs = Date.now();\n");
  assert.match(first ?? "", /exceptions: No exception can be made from pure; see npm run tidy -- --rules\./);
  assert.match(second ?? "", /pure: The global `Date` must not appear/);
});

test("every rule has its own name and says in one line why it is there", () => {
  assert.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
  for (const { name, reason } of rules) assert.match(`${name} ${reason}`, /^[a-z-]+ \S.{10,90}$/);
});
