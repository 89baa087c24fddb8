import assert from "node:assert/strict";
import { test } from "node:test";
import { serving, taskRequest } from "./fixtures/serving.ts";

test("a deleted session shows the defaults again", async (t) => {
  const { fetch, post } = await serving(t);
  const turns = async () => ((await (await fetch("/v1/sessions/evening")).json()) as { turns: number }).turns;
  await post("/v1/tasks", taskRequest());
  assert.equal(await turns(), 1);
  assert.equal((await fetch("/v1/sessions/evening", { method: "DELETE" })).status, 204);
  assert.equal(await turns(), 0);
});
