import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, pool, settings, World, type WorldOptions } from "./fixtures/world.ts";
import { noSettings, type SessionSettings } from "./settings.ts";

const aborted = { ending: { kind: "aborted" } } as const;

function withSessions(fields: Partial<SessionSettings> = {}, options: WorldOptions = {}): World {
  return new World({ settings: settings({ session: { ...noSettings.session, ...fields } }), ...options });
}

let names = 0;

/** A task of the session, from its acceptance to its end. */
function turn(world: World, sessionId: string): string {
  const id = `t${names++}`;
  world.submit(id, { sessionId });
  world.end(id);
  return id;
}

const info = (world: World, sessionId = "s") => world.orchestrator.session("default", sessionId, world.nowMs);
const keys = (world: World) => [...world.orchestrator.state.sessions.values()].map(({ key }) => key);

test("an unknown session answers the defaults and is not created", () => {
  const world = withSessions({ budgets: { tokens: 500 } });
  assert.deepEqual(info(world, "nobody"), {
    ttl_ms_remaining: 600_000,
    turns: 0,
    kv_bytes: 0,
    kv_warmth: false,
    kv_migrated: false,
    tokens_budget_remaining: 500,
    time_budget_remaining_ms: 600_000,
    cost_budget_remaining: 0,
    budgets_enforced: { tokens: true, time: false, cost: false },
  });
  assert.deepEqual(keys(world), []);
});

test("each accepted task is one turn, a refused one is none [CHK-K-04]", () => {
  const world = withSessions();
  turn(world, "s");
  world.submit("running", { sessionId: "s" });
  assert.equal(info(world).turns, 2);
  world.submit("refused", { sessionId: "s", deadlineMs: 0 });
  assert.equal(info(world).turns, 2);
});

test("a session that has taken its turns takes no more until it has expired [ORCH-3021]", () => {
  for (const [maxTurns, world] of [
    [8, withSessions()],
    [2, withSessions({ maxTurns: 2, ttlMs: 600_000 })],
  ] as const) {
    for (let i = 0; i < maxTurns; i++) turn(world, "s");
    const [refused] = only(world.submit("over", { sessionId: "s" }), "RefuseTask");
    assert.equal(refused?.code, "INVALID_PARAMS");
    assert.match(refused?.message ?? "", /session_max_turns/);
    world.pass(599_999);
    assert.equal(only(world.submit("early", { sessionId: "s" }), "RefuseTask").length, 1);
    world.pass(1);
    assert.equal(only(world.submit("fresh", { sessionId: "s" }), "AcceptTask").length, 1);
    assert.equal(info(world).turns, 1);
  }
});

test("the time to live starts again with each accepted task", () => {
  const world = withSessions({ ttlMs: 1000 });
  turn(world, "s");
  world.pass(900);
  turn(world, "s");
  assert.equal(info(world).ttl_ms_remaining, 1000);
  world.pass(999);
  assert.equal(info(world).turns, 2);
  world.pass(1);
  assert.equal(info(world).turns, 0);
});

test("a session with work in hand does not expire under it, and is gone when that has ended", () => {
  const world = withSessions({ ttlMs: 1000 });
  world.submit("a", { sessionId: "s" });
  world.pass(100_000);
  assert.equal(info(world).turns, 1);
  world.end("a");
  assert.equal(info(world).turns, 0);
});

test("the tick removes every session whose time has run out, by the time it is given [CHK-K-03]", () => {
  const world = withSessions({ ttlMs: 100_000 }, { slots: 2 });
  world.submit("long", { sessionId: "first" });
  world.pass(50_000);
  turn(world, "second");
  world.pass(40_000);
  world.end("long");
  world.pass(29_999);
  assert.deepEqual(keys(world), ["default/first", "default/second"]);
  world.pass(1);
  assert.deepEqual(keys(world), ["default/second"]);
  world.pass(60_000);
  assert.deepEqual(keys(world), []);
  assert.equal(world.orchestrator.state.timers.has("sessions"), false);
});

test("expired sessions are gone for a reader, for a new task, when a stream ends and at the tick [SESS-03]", () => {
  const world = withSessions({ ttlMs: 1000 }, { slots: 2 });
  turn(world, "s");
  world.pass(999);
  turn(world, "s");
  assert.equal(info(world).turns, 2);
  world.pass(1000);
  assert.equal(info(world).turns, 0);
  turn(world, "other");
  assert.deepEqual(keys(world), ["default/other"]);
  world.submit("long", { sessionId: "s" });
  world.pass(5000);
  world.end("long");
  assert.equal(info(world).turns, 0);
  world.pass(60_000);
  assert.deepEqual(keys(world), []);
});

test("beyond the limit the session that has been idle for longest goes", () => {
  const world = withSessions({ liveMax: 3 }, { slots: 2 });
  world.submit("live", { sessionId: "one" });
  turn(world, "two");
  turn(world, "three");
  turn(world, "two");
  turn(world, "four");
  assert.deepEqual(keys(world).sort(), ["default/four", "default/one", "default/two"]);
  assert.equal(world.orchestrator.state.idleSessions.size, 2);
});

test("a deleted session starts anew, and what still runs for it neither counts nor costs there", () => {
  const world = withSessions({ budgets: { tokens: 100 } });
  world.submit("old", { sessionId: "s", maxTokens: 40 });
  world.say({ type: "SessionDeleted", tenantId: "default", sessionId: "s" });
  assert.equal(info(world).tokens_budget_remaining, 100);
  assert.equal(info(world).turns, 0);
  world.submit("new", { sessionId: "s", maxTokens: 30 });
  world.end("old", { tokensOut: 40 });
  assert.equal(info(world).tokens_budget_remaining, 70);
  world.end("new", { tokensOut: 10 });
  assert.equal(info(world).tokens_budget_remaining, 90);
  assert.equal(info(world).turns, 1);
  assert.deepEqual(world.say({ type: "SessionDeleted", tenantId: "default", sessionId: "nobody" }), []);
});

test("tenants do not share sessions of the same name", () => {
  const world = withSessions();
  world.submit("a", { sessionId: "s", tenantId: "one" });
  assert.equal(world.orchestrator.session("one", "s").turns, 1);
  assert.equal(world.orchestrator.session("two", "s").turns, 0);
  world.say({ type: "SessionDeleted", tenantId: "two", sessionId: "s" });
  assert.equal(world.orchestrator.session("one", "s").turns, 1);
});

function warmed(determinism: "strict" | "best_effort"): World {
  const world = new World({ settings: settings({ pools: [pool({ determinism })] }) });
  world.replica("p", "r1", { facts: facts({ vramFreeBytes: -1 }) });
  world.submit("a", { sessionId: "s" });
  world.say({ type: "FirstToken", jobId: "job-a", attempt: 1, cachedTokens: 64 });
  return world;
}

test("a session is warm while its engine reported cached tokens for it, on best-effort pools alone [SESS-01]", () => {
  const world = warmed("best_effort");
  assert.equal(info(world).kv_warmth, true);
  assert.equal(world.orchestrator.progress("job-a")?.kvWarm, true);
  world.end("a");
  assert.equal(info(world).kv_warmth, true);
  world.submit("evicted", { sessionId: "s" });
  world.say({ type: "FirstToken", jobId: "job-evicted", attempt: 1, cachedTokens: 0 });
  assert.equal(info(world).kv_warmth, false);
  assert.equal(info(warmed("strict")).kv_warmth, false);

  const failed = warmed("best_effort");
  failed.replica("p", "r0", { status: "failed" });
  failed.end("a", { ...aborted, frames: 1 });
  assert.equal(failed.attempts("a")[1]?.replicaId, "r1");
  assert.equal(info(failed).kv_warmth, false);
  assert.equal(failed.orchestrator.progress("job-a")?.kvWarm, false);
});

test("a session whose replica came back as another process is cold", () => {
  const world = warmed("best_effort");
  world.replica("p", "r1", { status: "failed" });
  world.replica("p", "r0", { epoch: 2 });
  world.end("a", { ...aborted, frames: 1 });
  assert.equal(world.attempts("a")[1]?.replicaId, "r0");
  assert.equal(info(world).kv_warmth, false);

  const idle = warmed("best_effort");
  idle.end("a");
  idle.replica("p", "r0", { epoch: 2 });
  assert.equal(info(idle).kv_warmth, false);
});

test("a session goes back to the replica that served it, on best-effort pools alone [OC-CORE-1013]", () => {
  const best = new World({ settings: settings({ pools: [pool({ determinism: "best_effort" })] }) });
  best.replica("p", "r1", { facts: facts({ vramFreeBytes: -1 }) });
  best.submit("busy", { sessionId: "x" });
  best.submit("first", { sessionId: "s" });
  best.end("first");
  best.end("busy");
  best.submit("again", { sessionId: "s" });
  assert.equal(best.attempts("again")[0]?.replicaId, "r1");
  assert.equal(best.attempts("again")[0]?.decision.affinity, true);
  best.submit("taken", { sessionId: "s" });
  assert.equal(best.attempts("taken")[0]?.replicaId, "r0");
});

test("a new session has the defaults, each task is a turn, the tick and a delete remove it [CHK-F-15]", () => {
  const world = withSessions();
  const fresh = { ...info(world) };
  assert.deepEqual(
    [fresh.ttl_ms_remaining, fresh.turns, fresh.kv_bytes, fresh.kv_warmth],
    [600_000, 0, 0, false],
  );
  turn(world, "s");
  turn(world, "t");
  assert.deepEqual([info(world).turns, info(world, "t").turns], [1, 1]);
  world.say({ type: "SessionDeleted", tenantId: "default", sessionId: "t" });
  assert.deepEqual(keys(world), ["default/s"]);
  world.pass(599_999);
  assert.deepEqual(keys(world), ["default/s"]);
  world.pass(1);
  assert.deepEqual(keys(world), []);
  assert.deepEqual(info(world), fresh);
});

test("a session is made of numbers, times and names of places, and of no text [SESS-04]", () => {
  const world = warmed("best_effort");
  world.end("a");
  const [session = assert.fail()] = world.orchestrator.snapshot().sessions;
  assert.equal(session.key, "default/s");
  assert.deepEqual(Object.keys(session).sort(), [
    "deleted",
    "expiresAtMs",
    "key",
    "kvWarm",
    "lastReplica",
    "live",
    "reserved",
    "serial",
    "sessionId",
    "spent",
    "tenantId",
    "turns",
  ]);
});

test("a session that must move because its replica is busy is cold from then on, in its record and in every frame", () => {
  const world = warmed("best_effort");
  world.submit("moved", { sessionId: "s" });
  assert.equal(world.attempts("moved")[0]?.replicaId, "r1");
  assert.equal(info(world).kv_warmth, false);
  assert.equal(world.orchestrator.progress("job-moved")?.kvWarm, false);
  assert.equal(world.orchestrator.progress("job-a")?.kvWarm, false);
});
