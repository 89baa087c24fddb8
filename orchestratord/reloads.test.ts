import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { AnswerReload } from "@llama-orch/core";
import type { Happening } from "./loop.ts";
import { Reloads, type SwapResult } from "./reloads.ts";

function open(result: SwapResult = { ok: true, engineVersion: "v2" }) {
  const posted: Happening[] = [];
  const reloads = new Reloads({ swap: async () => result }, (happening) => posted.push(happening));
  return { posted, reloads };
}

const answer = (more: Partial<AnswerReload> = {}): AnswerReload => ({
  type: "AnswerReload",
  poolId: "p",
  ok: true,
  modelRef: "new",
  engineVersion: "v2",
  durationMs: 12,
  ...more,
});

test("a reload is asked for, carried out when the core says so, and answered when the core has decided", async () => {
  const { posted, reloads } = open();
  const reply = reloads.request("p", "new", 500);
  assert.deepEqual(posted, [{ type: "ReloadRequested", poolId: "p", modelRef: "new", drainDeadlineMs: 500 }]);
  reloads.swap({ type: "SwapModel", poolId: "p", fromModelRef: "old", toModelRef: "new" });
  await turn();
  assert.deepEqual(posted[1], { type: "ReloadEnded", poolId: "p", ok: true, engineVersion: "v2" });
  reloads.answer(answer());
  assert.deepEqual(await reply, { pool_id: "p", model_ref: "new", engine_version: "v2", duration_ms: 12 });
});

test("a swap that fails says why, to the core and to who asked", async () => {
  const { posted, reloads } = open({ ok: false, engineVersion: "v1", error: "No such file." });
  const reply = reloads.request("p", "new", 0);
  reloads.swap({ type: "SwapModel", poolId: "p", fromModelRef: "old", toModelRef: "new" });
  await turn();
  assert.deepEqual(posted[1], {
    type: "ReloadEnded",
    poolId: "p",
    ok: false,
    engineVersion: "v1",
    error: "No such file.",
  });
  reloads.answer(answer({ ok: false, error: "No such file." }));
  await assert.rejects(reply, { code: "RELOAD_CONFLICT", message: "No such file." });
});

test("who asks while a reload goes on is refused, and the first one gets its own answer", async () => {
  const { reloads } = open();
  const first = reloads.request("p", "new", 0);
  const second = reloads.request("p", "other", 0);
  const elsewhere = reloads.request("q", "new", 0);
  reloads.answer(answer({ ok: false, durationMs: 0, error: "It is being reloaded." }));
  await assert.rejects(second, { code: "RELOAD_CONFLICT" });
  reloads.answer(answer());
  assert.equal((await first).model_ref, "new");
  reloads.answer(answer({ poolId: "q", durationMs: 0 }));
  assert.equal((await elsewhere).duration_ms, 0);
});

test("an answer that nobody waits for is dropped", () => {
  open().reloads.answer(answer());
});
