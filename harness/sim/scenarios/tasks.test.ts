import assert from "node:assert/strict";
import { test } from "node:test";
import { only, Stage } from "./stage.ts";

test("a cancelled stream ends where it was: no token follows, and its slot serves the next task", () => {
  const stage = new Stage();
  stage.submit("a", { maxTokens: 200 });
  stage.submit("b");
  stage.pass(500);
  const before = stage.seen("a").length;
  assert.ok(before > 0);
  const effects = stage.cancel("a");
  assert.equal(effects[0]?.type, "CloseGate");
  stage.pass(3000);
  assert.equal(stage.outcome("a"), "canceled");
  assert.equal(stage.seen("a").length, before);
  assert.equal(stage.outcome("b"), "done");
  stage.end();
});

test("a task that is cancelled while it waits never reaches an engine [OC-CORE-1005]", () => {
  const stage = new Stage();
  stage.submit("a");
  stage.submit("b");
  stage.cancel("b");
  stage.pass(5000);
  assert.equal(stage.outcome("b"), "canceled");
  assert.equal(stage.attempts("b"), 0);
  stage.end();
});

test("a second cancel, and one that comes after the end, change nothing", () => {
  const stage = new Stage();
  stage.submit("a");
  stage.pass(100);
  stage.cancel("a");
  assert.deepEqual(stage.cancel("a"), []);
  stage.pass(2000);
  assert.deepEqual(stage.cancel("a"), []);
  stage.end();
});

test("a cancel between the loss of an attempt and its replay is final", () => {
  const stage = new Stage({ replicas: [{ loadMs: 3000 }] });
  stage.submit("a");
  stage.pass(400);
  stage.fail("p0/r0");
  stage.pass(500);
  stage.cancel("a");
  stage.pass(10_000);
  assert.equal(stage.outcome("a"), "canceled");
  assert.equal(stage.attempts("a"), 1);
  stage.end();
});

test("a deadline that passes while the task waits ends it with DEADLINE_UNMET", () => {
  const stage = new Stage({ replicas: [{ declared: {} }] });
  stage.submit("long", { maxTokens: 300 });
  stage.submit("late", { deadlineMs: 1000 });
  stage.pass(1100);
  assert.equal(stage.outcome("late"), "DEADLINE_UNMET");
  assert.equal(stage.attempts("late"), 0);
  stage.end();
});

test("a deadline that cannot be met is refused with the earliest time that can [ORCH-3079]", () => {
  const stage = new Stage();
  stage.submit("long", { maxTokens: 300 });
  const [refused] = only(stage.submit("late", { deadlineMs: 1000 }), "RefuseTask");
  assert.equal(refused?.code, "DEADLINE_UNMET");
  assert.ok((refused?.details.earliest_finish_ms ?? 0) > 1000);
  stage.end();
});

test("a running attempt goes on past its deadline and is done, late", () => {
  const stage = new Stage({ replicas: [{ declared: {} }] });
  stage.submit("a", { maxTokens: 100, deadlineMs: 1000 });
  stage.pass(5000);
  assert.equal(stage.outcome("a"), "done");
  assert.equal(stage.ended("a")?.onTime, false);
  stage.end();
});

test("a reader who comes back within the grace finds the task running", () => {
  const stage = new Stage();
  stage.submit("a", { maxTokens: 300 });
  stage.pass(500);
  stage.reads("a", 0);
  stage.pass(3000);
  stage.reads("a", 1);
  stage.pass(10_000);
  assert.equal(stage.outcome("a"), "done");
  stage.end();
});

test("when nobody comes back within the grace the task is cancelled, running or waiting", () => {
  const stage = new Stage();
  stage.submit("a", { maxTokens: 2000 });
  stage.submit("b");
  stage.pass(500);
  stage.reads("a", 0);
  stage.reads("b", 0);
  stage.pass(5600);
  for (const id of ["a", "b"]) assert.equal(stage.outcome(id), "canceled");
  stage.end();
});

test("after a restart readers have at least half a minute to come back", () => {
  const stage = new Stage({ settings: { stream: { disconnectGraceMs: 0, cancelOnDisconnect: true } } });
  stage.submit("a", { maxTokens: 3000 });
  stage.pass(500);
  stage.world.clients.reconnect = () => {};
  stage.world.restart(500);
  stage.pass(20_000);
  assert.equal(stage.outcome("a"), "open");
  stage.pass(15_000);
  assert.equal(stage.outcome("a"), "canceled");
  stage.end();
});

test("faults in a row open the breaker; after its pause one task tries and its success lets the others in", () => {
  const breaker = { threshold: 2, openMs: 3000, maxRestarts: 99, windowMs: 60_000 };
  const stage = new Stage({ pools: [{ breaker }], replicas: [{ loadMs: 100, slots: 2 }] });
  for (const id of ["a", "b", "c"]) stage.submit(id);
  stage.pass(300);
  stage.fail("p0/r0");
  stage.pass(1200);
  assert.equal(stage.notes("breaker-opened"), 1);
  const [refused] = only(stage.submit("d"), "RefuseTask");
  assert.equal(refused?.code, "POOL_UNREADY");
  stage.pass(10_000);
  assert.equal(stage.notes("breaker-closed"), 1);
  for (const id of ["a", "b", "c"]) assert.equal(stage.outcome(id), "done");
  stage.end();
});

const full = { capacity: 2, fullPolicy: "reject" } as const;

test("soft preemption displaces the newest waiting batch task for an interactive one [ORCH-3085]", () => {
  const stage = new Stage({
    pools: [{ ...full, preemption: { mode: "soft", maxPerMinute: 10, protect: ["interactive"] } }],
  });
  stage.submit("running");
  stage.submit("b1", { priority: "batch" });
  stage.submit("b2", { priority: "batch" });
  stage.submit("urgent");
  assert.equal(stage.outcome("b2"), "ADMISSION_REJECT");
  assert.equal(stage.notes("preempted-soft"), 1);
  stage.pass(8000);
  for (const id of ["running", "b1", "urgent"]) assert.equal(stage.outcome(id), "done");
  stage.end();
});

test("hard preemption stops a running batch task for an interactive one and goes on with it afterwards", () => {
  const stage = new Stage({
    pools: [{ preemption: { mode: "hard", maxPerMinute: 10, protect: ["interactive"] } }],
    replicas: [{ features: ["interruptible_decode"] }],
  });
  stage.submit("b", { priority: "batch", maxTokens: 200 });
  stage.pass(1000);
  const before = stage.seen("b").length;
  stage.submit("urgent");
  stage.pass(50);
  assert.equal(stage.attempts("urgent"), 1);
  assert.equal(stage.notes("preempted-hard"), 1);
  stage.pass(20_000);
  assert.equal(stage.outcome("b"), "done");
  assert.ok(stage.seen("b").length > before);
  assert.deepEqual(stage.seen("b"), stage.undisturbed("b"));
  stage.end();
});

test("a full queue with drop-lru lets the oldest batch task go, and says so [ORCH-3005]", () => {
  const stage = new Stage({ pools: [{ ...full, fullPolicy: "drop-lru" }] });
  stage.submit("running");
  stage.submit("b1", { priority: "batch" });
  stage.submit("b2", { priority: "batch" });
  stage.submit("new");
  assert.equal(stage.outcome("b1"), "QUEUE_FULL_DROP_LRU");
  stage.end();
});

test("a refused task that comes again after Retry-After is taken as new", () => {
  const stage = new Stage({ pools: [full] });
  for (const id of ["a", "b", "c"]) stage.submit(id);
  const [refused] = only(stage.submit("d"), "RefuseTask");
  assert.equal(refused?.code, "ADMISSION_REJECT");
  stage.pass(refused?.details.retry_after_ms ?? 0);
  stage.pass(10_000);
  assert.equal(stage.outcome("d"), "done");
  stage.end();
});

test("budgets hold however many tasks come at once, and what is not used comes back [OC-CORE-1023]", () => {
  const stage = new Stage({ settings: { tenantBudgets: { default: { tokens: 100 } } } });
  stage.submit("a", { maxTokens: 40 });
  stage.submit("b", { maxTokens: 40 });
  const [refused] = only(stage.submit("c", { maxTokens: 40 }), "RefuseTask");
  assert.equal(refused?.details.policy_label, "budget");
  stage.cancel("b");
  stage.pass(50);
  assert.equal(only(stage.submit("d", { maxTokens: 40 }), "AcceptTask").length, 1);
  stage.end();
});
