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
  for (const limit of ["0", "1001"]) {
    assert.throws(
      () => parseTaskQuery({ limit }),
      new RegExp(`limit: given ${limit}; accepted: an integer 1`),
    );
  }
  for (const limit of ["many", "", "1.5", "0x10", "1e2", " 5", "-1"]) {
    const said = `limit: given ${JSON.stringify(limit)}; accepted: an integer 1..1000.`;
    assert.throws(() => parseTaskQuery({ limit }), { message: said });
  }
  assert.throws(() => parseTaskQuery({ state: "lost" }), /state: given "lost"; accepted: one of waiting/);
});
