import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDecisions } from "./decisions.ts";
import { makeTree } from "./tree.ts";

const pages = {
  "docs/decisions/README.md":
    "| id | what |\n|---|---|\n| D-04 | engines are provisioned |\n| [D-06](x.md) | see D-99 |",
  "docs/decisions/d-05-honest-waiting.md": "# D-05 Honest waiting\n",
  "docs/decisions/x.md": "# Why x, unlike D-99\n",
};

function faults(files: Record<string, string>): string[] {
  return checkDecisions(makeTree({ ...pages, ...files })).map(
    ({ path, line, message }) => `${path}:${line} ${message}`,
  );
}

test("a reference leads to the heading or the row of its decision", () => {
  assert.deepEqual(
    faults({
      "requirements/a.yaml": "says: x [D-04]",
      "docs/a.md": "why (D-05, D-06)",
      "core/a.ts": "// as [D-05] says",
    }),
    [],
  );
});

test("a reference that leads nowhere is told once per file", () => {
  const message = "There is no decision D-99 under docs/decisions/; correct the number or write the page.";
  assert.deepEqual(faults({ "requirements/a.yaml": "a: 1\nb: x [D-99]\nc: (D-04, D-99)" }), [
    `requirements/a.yaml:2 ${message}`,
  ]);
  assert.deepEqual(faults({ "core/a.ts": "f();\n// as [D-99] says" }), [`core/a.ts:2 ${message}`]);
  assert.deepEqual(faults({ "core/a.ts": 'const text = "[D-99]";' }), []);
});

test("a decision's page is short and named like the others", () => {
  assert.deepEqual(faults({ "docs/decisions/D5.md": "", "docs/decisions/long.md": "x\n".repeat(81) }), [
    "docs/decisions/D5.md:1 The page D5.md is named unlike the others; use d-05-words.md or words.md.",
    "docs/decisions/long.md:1 The page has 81 lines and may have 80; keep what would surprise a reader.",
  ]);
});
