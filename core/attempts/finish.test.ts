import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { only, pool, settings, World } from "../fixtures/world.ts";
import { noSettings } from "../settings.ts";

test("an outcome says where its task ran last, and nothing where it never ran", () => {
  const world = new World();
  for (const id of ["a", "b", "c"]) world.submit(id);
  world.cancel("b");
  world.end("a");
  world.replica("p", "r0", { status: "backing_off" });
  world.lose("c");
  world.cancel("c");
  const where = world.of("EndTask").map(({ taskId, poolId, replicaId }) => [taskId, poolId, replicaId]);
  assert.deepEqual(where, [
    ["b", "p", null],
    ["a", "p", "r0"],
    ["c", "p", "r0"],
  ]);
});

test("a task that is done within its deadline is on time, a later one is not", () => {
  const world = new World();
  world.submit("a", { deadlineMs: 1000 });
  world.pass(1000);
  assert.equal(only(world.end("a"), "EndTask")[0]?.onTime, true);
  world.submit("b", { deadlineMs: 1000 });
  world.pass(1001);
  assert.equal(only(world.end("b"), "EndTask")[0]?.onTime, false);
});

test("the same request gets its first answer again, running or ended, until it is forgotten", () => {
  const world = new World({ settings: settings({ rememberMs: 1000 }) });
  const [accepted] = only(world.submit("a"), "AcceptTask");
  const again = () => world.submit("a").map(({ type }) => type);
  assert.deepEqual(only(world.submit("a"), "RepeatAnswer")[0]?.answer, accepted?.answer);
  world.end("a");
  assert.deepEqual(again(), ["RepeatAnswer"]);
  const other = only(world.submit("a", {}, { fingerprint: "another" }), "RefuseTask");
  assert.equal(other[0]?.code, "TASK_CONFLICT");
  world.pass(1001);
  world.submit("b");
  world.end("b");
  assert.ok(again().includes("AcceptTask"));
});

test("at its end a task costs what was delivered, by the rate, and only budgets that are set [SESS-02]", () => {
  for (const [costPerToken, cost] of [
    [noSettings.session.costPerToken, 0.00002],
    [0.5, 5],
  ] as const) {
    const session = { ...noSettings.session, costPerToken, budgets: { tokens: 30, timeMs: 5000, cost: 40 } };
    const world = new World({ settings: settings({ session }) });
    world.submit("a", { sessionId: "s", maxTokens: 20, deadlineMs: 4000 });
    world.end("a", { tokensOut: 10, decodeMs: 700 });
    const left = world.orchestrator.session("default", "s");
    assert.deepEqual([left.tokens_budget_remaining, left.time_budget_remaining_ms], [20, 4300]);
    assert.ok(Math.abs(left.cost_budget_remaining - (40 - cost)) < 1e-9);
    world.submit("b", { sessionId: "s", maxTokens: 20, deadlineMs: 4000 });
    world.end("b", { tokensOut: 999, decodeMs: 999_999 });
    assert.equal(world.orchestrator.session("default", "s").tokens_budget_remaining, 0);
    const [refused] = only(world.submit("c", { sessionId: "s", maxTokens: 1 }), "RefuseTask");
    assert.equal(refused?.details.policy_label, "budget");
  }
  const open = new World();
  open.submit("a", { sessionId: "s", maxTokens: 4000 });
  open.end("a", { tokensOut: 4000, decodeMs: 1000 });
  assert.equal(only(open.submit("b", { sessionId: "s", maxTokens: 4000 }), "AcceptTask").length, 1);
});

const limits = { tokens: 200, timeMs: 3_000_000, cost: 1 };

test("whatever becomes of tasks, budgets are spent by what was delivered and nothing stays reserved", () => {
  const ends = fc.constantFrom("end", "lose", "cancel", "cancel-late", "expire");
  fc.assert(
    fc.property(fc.array(fc.tuple(ends, fc.nat({ max: 30 })), { maxLength: 12 }), (turns) => {
      const session = { ...noSettings.session, maxTurns: 100, budgets: limits };
      const breaker = { ...pool().breaker, threshold: 100 };
      const pools = [pool({ determinism: "best_effort", breaker })];
      const world = new World({
        settings: settings({ session, pools, tenantBudgets: { default: limits } }),
      });
      world.replica("p", "r1");
      let spent = 0;
      for (const [i, [how, tokens]] of turns.entries()) {
        const id = `t${i}`;
        const accepted = only(
          world.submit(id, { sessionId: "s", maxTokens: 30, deadlineMs: 60_000 }),
          "AcceptTask",
        );
        assert.equal(accepted.length, spent + 30 <= limits.tokens ? 1 : 0);
        if (accepted.length === 0) continue;
        spent += settleAs(world, id, how, tokens);
        assert.equal(
          world.orchestrator.session("default", "s").tokens_budget_remaining,
          limits.tokens - spent,
        );
      }
      for (const account of [...accountsOf(world)]) {
        assert.equal(account.spent.tokens, spent);
        assert.equal(account.reserved.tokens, 0);
        assert.equal(account.reserved.timeMs, 0);
        assert.ok(Math.abs(account.reserved.cost) < 1e-9);
      }
    }),
  );
});

function* accountsOf({ orchestrator: { state } }: World) {
  yield* state.sessions.values();
  yield* state.tenants.values();
}

/** How many tokens of it were delivered. */
function settleAs(world: World, id: string, how: string, tokens: number): number {
  const made = { tokensOut: tokens, attemptTokens: tokens, frames: tokens };
  switch (how) {
    case "end":
      world.end(id, made);
      return tokens;
    case "lose":
      world.lose(id, made);
      world.end(id, { ...made, tokensOut: 30, frames: 30 });
      return 30;
    case "cancel":
      world.cancel(id);
      world.end(id, { ...made, ending: { kind: "aborted" } });
      return tokens;
    case "cancel-late":
      world.lose(id, made);
      world.cancel(id);
      world.end(id, { ...made, ending: { kind: "aborted" } });
      return tokens;
    default:
      world.replica("p", "r0", { status: "backing_off" });
      world.replica("p", "r1", { status: "backing_off" });
      world.lose(id, made);
      world.pass(60_000);
      world.replica("p", "r0");
      world.replica("p", "r1");
      return tokens;
  }
}
