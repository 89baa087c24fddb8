import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import { noSettings } from "../settings.ts";

const budgets = (fields: object) => settings({ session: { ...noSettings.session, budgets: fields } });

test("an attempt says where it runs, under which process, and why there", () => {
  const world = new World({ slots: 2 });
  world.replica("p", "r1", { facts: facts({ nodeId: "n1", slotsTotal: 2 }), epoch: 7 });
  world.submit("a");
  const [dispatched] = only(world.submit("b"), "DispatchAttempt");
  const { limits: _limits, ...rest } = dispatched ?? assert.fail("b was not placed");
  assert.deepEqual(rest, {
    type: "DispatchAttempt",
    jobId: "job-b",
    attempt: 1,
    poolId: "p",
    replicaId: "r1",
    epoch: 7,
    nodeId: "n1",
    resume: null,
    preempted: false,
    waited: { ms: 0, predictionErrorMs: 0 },
    reuseCache: false,
    decision: {
      candidatesTotal: 2,
      candidatesFeasible: 2,
      filters: [],
      tieBreakers: [],
      pinned: false,
      fallback: false,
      affinity: false,
    },
  });
});

test("the first token is waited for as long as configured, else three predicted prefills, 30 s at least", () => {
  const slow = new World({ ready: false });
  slow.replica("p", "r0", { facts: facts({ speed: { tokensPerS: 10, firstTokenMs: 20_000 } }) });
  slow.submit("a");
  assert.equal(slow.attempts("a")[0]?.limits.firstTokenMs, 60_000);

  const quick = new World();
  quick.submit("a");
  assert.equal(quick.attempts("a")[0]?.limits.firstTokenMs, 30_000);

  const configured = new World({
    settings: settings({ pools: [pool({ timeouts: { idleMs: 70, wallMs: 900, firstTokenMs: 50 } })] }),
  });
  configured.submit("a", { maxTokens: 12 });
  assert.deepEqual(configured.attempts("a")[0]?.limits, {
    maxTokens: 12,
    firstTokenMs: 50,
    idleMs: 70,
    wallMs: 900,
    budgetMs: null,
  });
});

test("where a time budget is set an attempt may run no longer than was reserved for its task", () => {
  const world = new World({ settings: budgets({ timeMs: 10_000 }) });
  world.submit("a", { deadlineMs: 4000 });
  assert.equal(world.attempts("a")[0]?.limits.budgetMs, 4000);
});

test("a replay may take all the engine time that was reserved, since repeating is free", () => {
  const world = new World({ settings: budgets({ timeMs: 10_000 }) });
  world.submit("a", { deadlineMs: 4000 });
  world.lose("a", { frames: 3, tokensOut: 3, decodeMs: 1500 });
  assert.equal(world.attempts("a")[1]?.resume, "replayed");
  assert.equal(world.attempts("a")[1]?.limits.budgetMs, 4000);
});

test("a continuation gets the tokens and the engine time that the text so far has left", () => {
  const world = new World({
    settings: { ...budgets({ timeMs: 10_000 }), pools: [pool({ determinism: "best_effort" })] },
  });
  world.submit("a", { deadlineMs: 4000, maxTokens: 10 });
  world.lose("a", { frames: 3, tokensOut: 4, decodeMs: 1500 });
  const [, second] = world.attempts("a");
  assert.equal(second?.resume, "continued");
  assert.equal(second?.limits.budgetMs, 2500);
  assert.equal(second?.limits.maxTokens, 6);
  world.replica("p", "r1");
  world.lose("a", { frames: 5, tokensOut: 6, decodeMs: 500 });
  assert.equal(world.attempts("a")[2]?.limits.budgetMs, 2000);
  assert.equal(world.attempts("a")[2]?.limits.maxTokens, 4);
});

test("a cache is reused on best-effort pools alone, and not where the request says cold", () => {
  const world = new World({
    settings: settings({ pools: [pool({ determinism: "best_effort" })] }),
    slots: 2,
  });
  world.submit("warm");
  world.submit("cold", { kvHint: "cold" });
  assert.equal(world.attempts("warm")[0]?.reuseCache, true);
  assert.equal(world.attempts("cold")[0]?.reuseCache, false);
});
