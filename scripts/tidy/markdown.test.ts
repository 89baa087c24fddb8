import assert from "node:assert/strict";
import { test } from "node:test";
import { codeSpans, fencedLines, headings, links, tables } from "./markdown.ts";

const text = [
  "# Title",
  "A `name` and a [link](a.md) and `[no](b.md)`.",
  "",
  "| a | b |",
  "|---|:-:|",
  "| 1 | x \\| y |",
  "",
  "```sh",
  "# no heading `no span`",
  "```",
].join("\n");

test("spans, links and headings are found outside fences, with their lines", () => {
  assert.deepEqual(codeSpans(text), [
    { value: "name", line: 2 },
    { value: "[no](b.md)", line: 2 },
  ]);
  assert.deepEqual(links(text), [{ value: "a.md", line: 2 }]);
  assert.deepEqual(headings(text), [{ value: "Title", line: 1 }]);
  assert.deepEqual(fencedLines(text), [{ value: "# no heading `no span`", line: 9 }]);
});

test("a table has its header and its rows, and an escaped bar stays in its cell", () => {
  assert.deepEqual(tables(text), [{ header: ["a", "b"], rows: [{ cells: ["1", "x \\| y"], line: 6 }] }]);
});
