import assert from "node:assert/strict";
import { test } from "node:test";
import { checkParses, checkSwallowed, checkSwitchedOff, checkTestsRun } from "./habits.ts";
import { makeTree, type Problem, type Tree } from "./tree.ts";

function faults(check: (tree: Tree) => Problem[], text: string, path = "sdk/a.ts"): string[] {
  return check(makeTree({ [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

test("a file that does not parse is told before anything else", () => {
  assert.match(
    faults(checkParses, "const = ;")[0] ?? "",
    /^1 The file does not parse \(.+\); repair it first\.$/,
  );
  assert.deepEqual(faults(checkParses, "const a = 1;"), []);
});

test("an error is not swallowed", () => {
  const message = "The error is swallowed here; handle it, pass it on, or say in a comment why not.";
  assert.deepEqual(faults(checkSwallowed, "try { f(); }\ncatch {}"), [`2 ${message}`]);
  for (const text of [
    "() => { try { f(); } catch { return; } }",
    "() => { try { f(); } catch (e) { return undefined; } }",
    "p.catch(() => {});",
  ]) {
    assert.deepEqual(faults(checkSwallowed, text), [`1 ${message}`], text);
  }
});

test("an error that is used, answered or explained is not swallowed", () => {
  for (const text of [
    "try { f(); } catch (e) { log(e); }",
    "() => { try { f(); } catch { return false; } }",
    "try { f(); } catch { /* the file is gone, which is what we wanted */ }",
    "p.catch((e) => log(e));",
  ]) {
    assert.deepEqual(faults(checkSwallowed, text), [], text);
  }
});

test("types and checks are switched off only with a reason", () => {
  assert.deepEqual(faults(checkSwitchedOff, "\nf(x as any);"), [
    "2 `as any` switches the types off; narrow the value or cast to what it is.",
  ]);
  const message = "1 A check is switched off without a reason; write the reason behind it.";
  for (const text of [
    "// @ts-expect-error",
    "/* @ts-ignore */",
    "// biome-ignore lint/style/x:",
    "// biome-ignore lint/style/x: <explanation>",
  ]) {
    assert.deepEqual(faults(checkSwitchedOff, text), [message], text);
  }
  for (const text of [
    "// @ts-expect-error the declaration forgets null",
    "// biome-ignore lint/style/x: the wire has this name",
    "f(x as unknown);",
  ]) {
    assert.deepEqual(faults(checkSwitchedOff, text), [], text);
  }
});

test("tests run, all of them", () => {
  assert.deepEqual(faults(checkTestsRun, '\ntest.only("a", f);', "sdk/a.test.ts"), [
    "2 .only( keeps tests from running; run them all or delete the ones that promise nothing.",
  ]);
  for (const text of ['describe.skip("a", f)', 'it.todo("a")', "t.skip()", 'test("a", { skip: true }, f)']) {
    assert.equal(faults(checkTestsRun, text, "sdk/a.test.ts").length, 1, text);
  }
  for (const text of ['test("a", { skip: !gpu }, f)', "reader.skip(4)", 'test("a", { only: false }, f)']) {
    assert.deepEqual(faults(checkTestsRun, text, "sdk/a.test.ts"), [], text);
  }
});

test("tests of core/ and contract/ do not sleep", () => {
  for (const text of ['import { setTimeout } from "node:timers/promises";', "setTimeout(f, 10);"]) {
    assert.deepEqual(faults(checkTestsRun, text, "core/a.test.ts"), [
      "1 Tests in core/ are synchronous; pass time in instead of sleeping.",
    ]);
    assert.deepEqual(faults(checkTestsRun, text, "orchestratord/a.test.ts"), []);
  }
});
