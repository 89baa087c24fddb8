import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPure } from "./pure.ts";
import { makeTree } from "./tree.ts";

function faults(path: string, text: string): string[] {
  return checkPure(makeTree({ [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

test("a clock in core/ is refused, whatever it is called", () => {
  const advice =
    "must not appear in core/; time, chance and answers arrive inside events, and work leaves as effects.";
  assert.deepEqual(faults("core/a.ts", "const at = 1;\nconst now = Date.now();"), [`2 \`Date\` ${advice}`]);
  for (const text of [
    "new Date()",
    "const { now } = Date;",
    "const clock = { Date };",
    "performance.now()",
    "let at: Date;",
    'globalThis["Date"].now()',
    'import { performance } from "node:perf_hooks";',
  ]) {
    assert.notEqual(faults("core/a.ts", text).length, 0, text);
  }
});

test("chance, waiting, the machine and the network are refused in core/", () => {
  for (const text of [
    "Math.random()",
    'Math["random"]()',
    "const { random } = Math;",
    "const m = Math;",
    "async function f() {}",
    "const f = async () => 1;",
    "await 1;",
    "for await (const x of y) {}",
    "let p: Promise<void>;",
    "setTimeout(f, 1)",
    "queueMicrotask(f)",
    'import { readFileSync } from "node:fs";',
    'import fs from "fs";',
    "process.exit()",
    "fetch(url)",
    "console.log(1)",
    "crypto.randomUUID()",
    "new Worker(url)",
    'import("./a.ts")',
    "row[process]",
  ]) {
    assert.notEqual(faults("core/queue/a.ts", text).length, 0, text);
  }
});

test("a comment, a string, a property and a calculation are not impurities", () => {
  const text = `
    // Date.now() would break the replay
    const text = "Date.now() and Math.random()";
    type Row = { date: number; process: string; fetch(): void };
    const row = { Date: 1, console: 2 };
    row.console + row.Date + Math.max(1, 2);
    const { floor } = Math;
    class Queue { setTimeout() {} }
  `;
  assert.deepEqual(faults("core/a.ts", text), []);
});

test("contract/ may calculate with a given time and asks for none", () => {
  const calculations = "new Date(ms).toISOString(); Date.parse(text); x instanceof Date; let at: Date;";
  assert.deepEqual(faults("contract/a.ts", `async function f() { ${calculations} }`), []);
  for (const text of ["Date.now()", "new Date()", "const { now } = Date;", "const D = Date;", "Date()"]) {
    assert.match(
      faults("contract/a.ts", text)[0] ?? "",
      /^1 The clock behind `Date` must not appear in contract/,
      text,
    );
  }
  for (const text of [
    "Math.random()",
    "process.env",
    "console.log()",
    "fetch(u)",
    'import "node:fs"',
    "setTimeout(f)",
  ]) {
    assert.notEqual(faults("contract/a.ts", text).length, 0, text);
  }
});

test("tests, conformance suites and other rooms are free", () => {
  for (const path of [
    "core/a.test.ts",
    "core/queue/queue.conformance.ts",
    "core/fixtures/day.ts",
    "sdk/a.ts",
  ]) {
    assert.deepEqual(faults(path, "Date.now(); await 1;"), []);
  }
});
