import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { only, pool, settings, World } from "../fixtures/world.ts";
import type { Budgets, Settings } from "../settings.ts";

const { session } = settings();

interface Given {
  readonly perSession?: Budgets;
  readonly perTenant?: Budgets;
  readonly slots?: number;
  readonly pools?: Settings["pools"];
}

function worldWith({ perSession = {}, perTenant, slots = 4, pools = [pool()] }: Given): World {
  const tenantBudgets = perTenant === undefined ? {} : { default: perTenant };
  return new World({
    slots,
    settings: settings({ pools, session: { ...session, maxTurns: 999, budgets: perSession }, tenantBudgets }),
  });
}

const refused = (effects: ReturnType<World["submit"]>) => only(effects, "RefuseTask")[0];
const label = (effects: ReturnType<World["submit"]>) => refused(effects)?.details.policy_label;
const s = { sessionId: "s" };
const left = (world: World, sessionId = "s") => {
  const info = world.orchestrator.session("default", sessionId);
  return [info.tokens_budget_remaining, info.time_budget_remaining_ms, info.cost_budget_remaining];
};

test("the worst case is reserved when a task is accepted; what cannot fit is refused, to the token [OC-CORE-1023]", () => {
  const world = worldWith({ perSession: { tokens: 100 } });
  assert.equal(refused(world.submit("1", { ...s, maxTokens: 60 })), undefined);
  const over = refused(world.submit("2", { ...s, maxTokens: 41 }));
  assert.equal(over?.code, "INVALID_PARAMS");
  assert.equal(over?.details.policy_label, "budget");
  assert.match(over?.message ?? "", /40 tokens left.*41/);
  assert.equal(refused(world.submit("2", { ...s, maxTokens: 40 })), undefined);
  assert.equal(label(world.submit("3", { ...s, maxTokens: 1 })), "budget");
  assert.equal(refused(world.submit("4", { sessionId: "another", maxTokens: 100 })), undefined);
});

test("time is reserved as the least of wall limit and deadline, cost as tokens by their price [OC-CORE-1023]", () => {
  const timed = worldWith({ perSession: { timeMs: 10_000 } });
  assert.equal(label(timed.submit("1", { ...s, deadlineMs: 10_001 })), "budget");
  assert.equal(label(timed.submit("1", { ...s, deadlineMs: 9000 })), undefined);
  assert.equal(label(timed.submit("2", { ...s, deadlineMs: 1001 })), "budget");
  const walled = worldWith({
    perSession: { timeMs: 10_000 },
    pools: [pool({ timeouts: { idleMs: 5000, wallMs: 6000 } })],
  });
  assert.equal(label(walled.submit("1", s)), undefined);
  assert.equal(label(walled.submit("2", s)), "budget");
  const priced = worldWith({ perSession: { cost: 0.002 } });
  assert.equal(label(priced.submit("1", { ...s, maxTokens: 1001 })), "budget");
  assert.equal(label(priced.submit("1", { ...s, maxTokens: 1000 })), undefined);
});

test("at its end a task gives back what it did not use, and is charged what was delivered [SESS-02]", () => {
  const world = worldWith({ perSession: { tokens: 100, timeMs: 1000, cost: 0.0002 } });
  world.submit("1", { ...s, maxTokens: 60, deadlineMs: 500 });
  assert.deepEqual(left(world).slice(0, 2), [40, 500]);
  world.end("1", { tokensOut: 25, attemptTokens: 25, decodeMs: 120 });
  assert.deepEqual(left(world).slice(0, 2), [75, 880]);
  assert.ok(Math.abs((left(world)[2] as number) - 0.00015) < 1e-12);
});

test("a cancel while waiting costs nothing; one while running costs what was delivered", () => {
  const world = worldWith({ perSession: { tokens: 100 }, slots: 1 });
  world.submit("runs", { ...s, maxTokens: 30 });
  world.submit("waits", { ...s, maxTokens: 30 });
  assert.equal(left(world)[0], 40);
  world.cancel("waits");
  assert.equal(left(world)[0], 70);
});

test("budgets that are not set never block, and show 0 for tokens and cost and the time to live for time [SESS-02]", () => {
  const world = worldWith({});
  for (let i = 0; i < 50; i++)
    assert.equal(refused(world.submit(`${i}`, { ...s, maxTokens: 4000 })), undefined);
  assert.deepEqual(left(world), [0, session.ttlMs, 0]);
  const { budgets_enforced } = world.orchestrator.session("default", "s");
  assert.deepEqual(budgets_enforced, { tokens: false, time: false, cost: false });
});

test("a budget of zero lets nothing in", () => {
  assert.equal(label(worldWith({ perSession: { tokens: 0 } }).submit("1")), "budget");
  assert.equal(label(worldWith({ perTenant: { tokens: 0 } }).submit("1")), "budget");
});

test("a tenant's budget counts over all its sessions and survives their end", () => {
  const world = worldWith({ perTenant: { tokens: 100 } });
  world.submit("1", { sessionId: "a", maxTokens: 60 });
  world.end("1", { tokensOut: 60, attemptTokens: 60 });
  world.say({ type: "SessionDeleted", tenantId: "default", sessionId: "a" });
  assert.equal(label(world.submit("2", { sessionId: "b", maxTokens: 41 })), "budget");
  assert.equal(label(world.submit("3", { sessionId: "b", maxTokens: 40 })), undefined);
  assert.equal(label(world.submit("4", { tenantId: "other", maxTokens: 4000 })), undefined);
});

test("a task that was delivered more than it may is charged no more than was reserved, so nothing falls below zero [SESS-02]", () => {
  const world = worldWith({ perSession: { tokens: 50, timeMs: 1000 } });
  world.submit("1", { ...s, maxTokens: 50, deadlineMs: 1000 });
  world.end("1", { tokensOut: 70, attemptTokens: 70, decodeMs: 5000 });
  assert.deepEqual(left(world).slice(0, 2), [0, 0]);
});

test("a tenant's account outlives its live tasks until the last cancelled attempt has ended", () => {
  const world = worldWith({});
  const t = { tenantId: "t" };
  for (const id of ["canceled", "short"]) world.submit(id, t);
  world.cancel("canceled", "t");
  world.end("short");
  world.submit("next", t);
  world.end("canceled", { ending: { kind: "aborted" }, tokensOut: 3 });
  world.end("next");
  assert.equal(world.outcome("next")?.kind, "done");
});

const act = fc.record({
  kind: fc.constantFrom("submit", "submit", "submit", "end", "cancel", "lose", "pass"),
  at: fc.nat(40),
  sessionId: fc.constantFrom("a", "b"),
  maxTokens: fc.integer({ min: 1, max: 60 }),
  deadlineMs: fc.integer({ min: 1, max: 4000 }),
});

test("no number of tasks at once, whatever becomes of them, overspends a session's or a tenant's budget", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const perSession = { tokens: 200, timeMs: 20_000, cost: 0.0004 };
      const perTenant = { tokens: 300, timeMs: 25_000, cost: 0.0005 };
      const world = worldWith({ perSession, perTenant, slots: 3 });
      const delivered = new Map<string, number>();
      let total = 0;
      for (const [i, { kind, at, sessionId, maxTokens, deadlineMs }] of acts.entries()) {
        const live = world.orchestrator.state.jobs.get(`job-${at}`);
        if (kind === "submit") world.submit(`${i}`, { sessionId, maxTokens, deadlineMs });
        if (kind === "cancel") world.cancel(`${at}`);
        if (kind === "pass") world.pass(deadlineMs);
        if (live === undefined || live.place?.kind !== "running") continue;
        const tokensOut = Math.min(live.task.maxTokens, maxTokens);
        if (kind === "lose") world.lose(`${at}`);
        if (kind !== "end") continue;
        total += tokensOut;
        delivered.set(live.task.sessionId, (delivered.get(live.task.sessionId) ?? 0) + tokensOut);
        world.end(`${at}`, { tokensOut, attemptTokens: tokensOut, decodeMs: tokensOut });
      }
      assert.ok(total <= perTenant.tokens);
      for (const tokens of delivered.values()) assert.ok(tokens <= perSession.tokens);
      const tenant = world.orchestrator.state.tenants.get("default");
      assert.equal(tenant?.spent.tokens ?? 0, total);
    }),
  );
});

test("the worst case holds for every pool that may run the task, whichever comes first in the configuration", () => {
  const walled = pool({ timeouts: { idleMs: 5000, wallMs: 1000 } });
  const world = worldWith({ perSession: { timeMs: 10_000 }, pools: [walled, pool({ id: "q" })] });
  assert.equal(label(world.submit("1", { ...s, deadlineMs: 10_001 })), "budget");
  assert.equal(label(world.submit("2", { ...s, deadlineMs: 9000 })), undefined);
  assert.equal(left(world)[1], 1000);
});
