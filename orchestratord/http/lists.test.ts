import assert from "node:assert/strict";
import { test } from "node:test";
import { serving, taskRequest } from "./fixtures/serving.ts";

test("the operator's lists page and filter, and refuse what no page can be", async (t) => {
  const { fetch, post } = await serving(t);
  for (const task_id of ["a", "b", "c"]) await post("/v1/tasks", taskRequest({ task_id }));
  const list = async (query: string) =>
    ((await (await fetch(`/v2/tasks${query}`)).json()) as { tasks: [] }).tasks;
  assert.equal((await list("")).length, 3);
  assert.equal((await list("?limit=2")).length, 2);
  assert.equal((await list("?state=done")).length, 0);
  for (const query of ["?limit=0", "?limit=x", "?state=asleep", "?state=done&state=failed", "?tenant=%00"]) {
    assert.equal((await fetch(`/v2/tasks${query}`)).status, 400, query);
  }
  assert.equal((await fetch("/v2/tasks/a")).status, 200);
  assert.equal((await fetch("/v2/tasks/none")).status, 404);
});
