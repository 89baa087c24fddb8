import assert from "node:assert/strict";
import { test } from "node:test";
import { serving } from "./fixtures/serving.ts";

test("pool health, drain and reload answer with their statuses and bodies, a rollback with 409 [CHK-F-12]", async (t) => {
  const { fetch, post } = await serving(t);
  const health = async (id: string) =>
    (await (await fetch(`/v1/pools/${id}/health`)).json()) as Record<string, unknown>;
  assert.equal((await health("haiku")).live, true);
  assert.deepEqual([(await health("none")).live, (await health("none")).ready], [false, false]);
  assert.deepEqual([(await health("%00")).live, (await health("a%2Fb")).ready], [false, false]);

  const drained = await post("/v1/pools/haiku/drain", { deadline_ms: 30_000 });
  assert.deepEqual([drained.status, await drained.text()], [202, "{}"]);
  assert.equal((await health("haiku")).draining, true);
  assert.equal((await post("/v1/pools/none/drain", { deadline_ms: 0 })).status, 404);
  assert.equal((await post("/v1/pools/haiku/drain", {})).status, 400);

  const reloaded = await post("/v1/pools/haiku/reload", { new_model_ref: "haiku@2" });
  assert.equal(reloaded.status, 200);
  assert.equal(((await reloaded.json()) as Record<string, unknown>).model_ref, "haiku@2");
  const rolledBack = await post("/v1/pools/haiku/reload", { new_model_ref: "broken" });
  assert.equal(rolledBack.status, 409);
  const { code, last_error } = (await rolledBack.json()) as Record<string, unknown>;
  assert.deepEqual([code, last_error], ["RELOAD_CONFLICT", "exit code 1"]);
});
