import assert from "node:assert/strict";
import { test } from "node:test";
import { isRunOf, readTestSource, textOf } from "./titles.ts";

const titlesOf = (source: string) => readTestSource("x.test.ts", source).titles;

test("the titles of tests, groups, subtests and their variants are found wherever they stand", () => {
  const source = `
    describe("a", () => { it("b", () => {}); it.skip('c', () => {}); });
    suite("d", () => {});
    for (const n of [1]) test.todo("e");
    test("f", async (t) => { await t.test("g", () => {}); });`;
  assert.deepEqual(titlesOf(source).map(textOf), ["a", "b", "c", "d", "e", "f", "g"]);
});

test("a computed title keeps the pieces that stand in the source", () => {
  assert.deepEqual(titlesOf(`test(\`\${kind} waits [ORCH-1]\`, () => {});`), [["", " waits [ORCH-1]"]]);
  assert.deepEqual(titlesOf('test("one " + "two", () => {});'), [["one two"]]);
  assert.deepEqual(titlesOf('test("a " + name + " [ORCH-1]", () => {});'), [["a ", " [ORCH-1]"]]);
});

test("a computed title stands for every name with its pieces in their places", () => {
  assert.ok(isRunOf(["", " waits [ORCH-1]"], "fifo waits [ORCH-1]"));
  assert.ok(!isRunOf(["", " waits [ORCH-1]"], "fifo runs [ORCH-1]"));
  assert.ok(!isRunOf(["a", " b"], "a b, too"));
});

test("a table of tests gives its titles in its rows", () => {
  const source = `
    const rows = [["a queue is bounded [ORCH-1]", 1], ["no id here", 2], [\`x [ORCH-2]\`]];
    const cases = [{ title: "a pool has a name [ORCH-3]", given: "[ORCH-4]" }, { name: "so has b [ORCH-5]" }];`;
  const titles = titlesOf(source).map(textOf).join("; ");
  assert.equal(titles, "a queue is bounded [ORCH-1]; a pool has a name [ORCH-3]; so has b [ORCH-5]");
});

test("a call that is no test has no title", () => {
  assert.deepEqual(
    titlesOf('/x/.test("[ORCH-1]"); pattern.test("y"); run("z", () => {}); array.only("q");'),
    [],
  );
});

test("imports and re-exports are listed, types as well", () => {
  const source =
    'import { a } from "./a.ts"; import type { B } from "./b.ts"; export * from "./c.ts"; import "node:fs";';
  assert.deepEqual(readTestSource("x.test.ts", source).imports, ["./a.ts", "./b.ts", "node:fs", "./c.ts"]);
});

test("a file that cannot be parsed is a problem with its path", () => {
  assert.match(readTestSource("x.test.ts", "test(").problem ?? "", /^x\.test\.ts cannot be parsed: /);
});
