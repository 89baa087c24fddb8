import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPure } from "./pure.ts";
import { makeTree } from "./tree.ts";

function faults(path: string, text: string): string[] {
  return checkPure(makeTree({ [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

test("a clock in core/ is refused, whatever it is called", () => {
  assert.deepEqual(faults("core/a.ts", "const at = 1;\nconst now = Date.now();"), [
    "2 The global `Date` must not appear in core/; time, chance and answers arrive inside events, " +
      "and work leaves as effects. What only calculates may be added to the list in scripts/tidy/pure.ts.",
  ]);
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

test("a global that is not listed is refused in core/ and in contract/, whoever thought of it", () => {
  for (const text of [
    'Function("return Date.now()")()',
    'new Function("return 1")',
    "new Intl.DateTimeFormat().format()",
    'require("node:fs")',
    "navigator.hardwareConcurrency",
    "new WeakRef(row)",
    "globalThis.Date.now()",
    "globalThis.process.env",
    "global.process",
    'new WebSocket("ws://a")',
    'eval("1")',
    "class A extends EventTarget {}",
    "new SomethingOfTomorrow()",
    "let b: Buffer;",
    "const found = { navigator };",
    "export { navigator };",
    "export default navigator;",
    "arguments[0]",
  ]) {
    for (const room of ["core", "contract"]) {
      assert.equal(faults(`${room}/a.ts`, `const row = 1; ${text}`).length, 1, `${room}: ${text}`);
    }
  }
});

test("what leads around the list is refused: a constructor, the language of the machine, import.meta", () => {
  for (const [text, what] of [
    ['(() => 1).constructor("return Date.now()")()', "`.constructor`"],
    ['row["constructor"]', "`.constructor`"],
    ["const { constructor: make } = () => 1;", "`.constructor`"],
    ["a.localeCompare(b)", "`.localeCompare`"],
    ["n.toLocaleString()", "`.toLocaleString`"],
    ["import.meta.url", "`import.meta`"],
    ["import(name)", "A dynamic import"],
  ] as const) {
    for (const room of ["core", "contract"]) {
      const [fault = "", ...others] = faults(
        `${room}/a.ts`,
        `const row = 1, a = "", b = a, n = 1, name = a; ${text}`,
      );
      assert.ok(fault.startsWith(`1 ${what} must not appear in ${room}/; `), `${text}: ${fault}`);
      assert.deepEqual(others, []);
    }
  }
});

test("a value of our own must not hide a global from the reader", () => {
  assert.deepEqual(faults("core/a.ts", "const f = (Date: number) => 1;\nfunction g() { return Date; }"), [
    "1 A value in core/ must not be called `Date`, which hides the global of that name; rename it.",
  ]);
  assert.equal(faults("core/a.ts", 'import type { Date } from "./a.ts"; Date.now();').length, 1);
  for (const text of [
    "const { fetch } = row;",
    "const [, ...Math] = row;",
    "function process() {}",
    "class Date {}",
    'import { navigator } from "./a.ts";',
    "try { f(); } catch (global) { f(); }",
    "for (const console of row) f();",
  ]) {
    const names = "const row = 1, f = row;\n";
    assert.equal(
      faults("core/a.ts", names + text).filter((fault) => /^2 A value /.test(fault)).length,
      1,
      text,
    );
  }
});

test("what a file declares or imports itself is no global, values and types alike", () => {
  const text = `
    import { type Answer, place } from "./place.ts";
    import type { Event } from "./events.ts";
    import * as ids from "./ids.ts";
    export { Task, type Pool } from "./task.ts";
    export * as queue from "./queue.ts";
    export type { Event };
    type Row<Key> = { [key: string]: Key } & { [K in keyof Answer]: Record<string, K> };
    type Wait = (untilMs: number) => asserts untilMs is number;
    interface File extends Row<ids.Task> {}
    export function find<T extends Row<Event>>({ a, b: [c] = [] }: File, ...rest: T[]): Readonly<T> | undefined {
      const each = (one: T, index = rest.length) => [one, index, new.target];
      label: for (const [key, value] of Object.entries(rest)) { place(key, value, a, c, ids.next); continue label; }
      try { return each(rest[0]!) as never as T; } catch { return undefined; }
    }
    class Slot implements File { #free = 1; static of() { return new Slot(); } free = () => this.#free; }
    const f = function again(): unknown { return again; };
    export const all = { Slot, f } as const satisfies object;
    export { f as g };
  `;
  assert.deepEqual(faults("core/a.ts", text), []);
});

test("a comment, a string, a property and a calculation are not impurities", () => {
  const text = `
    // Date.now() would break the replay
    const text = "Date.now() and Math.random()";
    type Row = { date: number; process: string; fetch(): void };
    const row = { Date: 1, console: 2 };
    row.console + row.Date + Math.max(1, 2) + Number.MAX_SAFE_INTEGER;
    new Map([[NaN, Infinity]]); new Set(Array.from("ab")); JSON.parse(String(Symbol.iterator)); new Error("a");
    const { floor } = Math;
    class Queue { setTimeout() {} }
  `;
  assert.deepEqual(faults("core/a.ts", text), []);
});

test("contract/ may calculate with a given time and asks for none", () => {
  const calculations =
    "new Date(ms).toISOString(); Date.parse(text); x instanceof Date; let at: Date; new RegExp(text); new URL(text);";
  assert.deepEqual(
    faults("contract/a.ts", `async function f(ms: number, text: string, x: unknown) { ${calculations} }`),
    [],
  );
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
