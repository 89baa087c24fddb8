import assert from "node:assert/strict";
import { test } from "node:test";
import { checkProse } from "./prose.ts";
import { makeTree } from "./tree.ts";

function faults(path: string, text: string): string[] {
  return checkProse(makeTree({ [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

test("a promise names its issue", () => {
  const message = "2 A promise without an issue is forgotten; open one and name it: (#12).";
  assert.deepEqual(faults("core/a.ts", "f();\n// TODO make this fair"), [message]);
  assert.deepEqual(faults("core/a.ts", "/*\n * Slow. FIXME: use a heap */"), [message]);
  assert.deepEqual(faults("docs/a.yaml", "a: 1\n# XXX later"), [message]);
  assert.deepEqual(faults("core/a.ts", "// TODO (#12) make this fair\n// TODO(#12): too"), []);
  assert.deepEqual(faults("core/a.ts", 'const text = "TODO: ";'), []);
  assert.deepEqual(faults("STYLE.md", "No TODO without an issue."), []);
});

test("code that was switched off is deleted", () => {
  const message = "1 This comment is code that was switched off; delete it, git remembers it.";
  for (const text of [
    "queue.push(task);",
    "const a = 1;",
    "a = b;",
    "return a;",
    'import { a } from "./a.ts";',
  ]) {
    assert.deepEqual(faults("core/a.ts", `// ${text}`), [message], text);
  }
});

test("sentences, formulas and examples are not code", () => {
  for (const text of [
    " the queue; it waits;",
    " note: wait;",
    " waits;",
    " a = b + c",
    "     queue.push(task);",
    " f()",
  ]) {
    assert.deepEqual(faults("core/a.ts", `//${text}`), [], text);
  }
});

test("the licence stands once", () => {
  const message = "1 The licence stands once, in LICENSE; delete this header.";
  assert.deepEqual(faults("core/a.ts", "// SPDX-License-Identifier: Apache-2.0"), [message]);
  assert.deepEqual(faults("core/a.ts", "/* Copyright 2025 somebody */"), [message]);
  assert.deepEqual(faults("LICENSE", "Copyright 2025 somebody"), []);
});

test("no emoji, wherever it stands; arrows and signs of prose are fine", () => {
  assert.deepEqual(faults("README.md", "Fast\n\u{1F680} Faster"), [
    "2 The line holds an emoji; say it in words, or escape it where a test needs it.",
  ]);
  assert.equal(faults("core/a.ts", 'const a = "\u2714\uFE0F";').length, 1);
  assert.deepEqual(faults("README.md", "a → b × c ≤ d ↔ e · f © ™ ✓"), []);
});

test("no path of one machine", () => {
  const home = `/${"home"}/kim/`;
  assert.deepEqual(faults("docs/a.md", `see ${home}models`), [
    `1 The line names a path of one machine (${home}); use a relative one.`,
  ]);
  assert.equal(faults("core/a.ts", `const a = "/${"root"}/x";`).length, 1);
  assert.deepEqual(faults("docs/a.md", `/home/<name>/ https://a.org${home} ~/models $X/root/a`), []);
});
