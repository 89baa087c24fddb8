import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCycles } from "./cycles.ts";
import { makeTree } from "./tree.ts";

test("a cycle is reported once, the shortest way round, type-only imports included", () => {
  const tree = makeTree({
    "core/a.ts": 'import "node:fs";\nimport "./b.ts";',
    "core/b.ts": 'import "./c.ts";\nimport "./d.ts";',
    "core/c.ts": 'import type { A } from "./a.ts";',
    "core/d.ts": 'import "./c.ts";',
  });
  assert.deepEqual(checkCycles(tree), [
    {
      path: "core/a.ts",
      line: 2,
      message:
        "Import cycle: core/a.ts → core/b.ts → core/c.ts → core/a.ts. Move what both need into a third file.",
    },
  ]);
});

test("two cycles that do not meet are two problems", () => {
  const tree = makeTree({
    "core/a.ts": 'import "./b.ts";\nimport "./x.ts";',
    "core/b.ts": 'import "./a.ts";',
    "core/x.ts": 'import "./y.ts";',
    "core/y.ts": 'import "./x.ts";',
  });
  assert.deepEqual(
    checkCycles(tree).map(({ path }) => path),
    ["core/a.ts", "core/x.ts"],
  );
});

test("a package that enters itself by its own door closes a cycle", () => {
  const tree = makeTree({
    "contract/package.json": '{ "exports": "./index.ts" }',
    "contract/index.ts": 'export * from "./ids.ts";',
    "contract/ids.ts": 'import { parse } from "@llama-orch/contract";',
  });
  assert.equal(checkCycles(tree).length, 1);
});

test("a file that two others import is no cycle", () => {
  const tree = makeTree({
    "core/a.ts": 'import "./b.ts";\nimport "./c.ts";',
    "core/b.ts": 'import "./c.ts";',
    "core/c.ts": "",
  });
  assert.deepEqual(checkCycles(tree), []);
});
