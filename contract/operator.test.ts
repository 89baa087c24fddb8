import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTaskQuery } from "./operator.ts";

test("a query string is read into numbers and words", () => {
  assert.deepEqual(parseTaskQuery({ state: "running", limit: "20", cursor: "c" }), {
    state: "running",
    limit: 20,
    cursor: "c",
  });
});

test("a page has a size that a person can read", () => {
  for (const limit of ["0", "1001", "many", "", "1.5"]) {
    assert.throws(() => parseTaskQuery({ limit }), /limit: given .+; accepted: an integer 1\.\.1000/);
  }
  assert.throws(() => parseTaskQuery({ state: "lost" }), /state: given "lost"; accepted: one of waiting/);
});
