import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { act, stage, steps } from "./fixtures/play.ts";
import {
  codeOf,
  lastOf,
  livesOf,
  plain,
  recover,
  reportLost,
  restart,
  withTask,
} from "./fixtures/restart.ts";
import { facts, only, pool, settings, World } from "./fixtures/world.ts";
import { limits } from "./limits.ts";
import { Orchestrator } from "./orchestrator.ts";
import type { Live, State } from "./state.ts";

const bestEffort = settings({ pools: [pool({ determinism: "best_effort" })] });

test("whatever has happened, every live task stands again in the old order, and all accounts are as they were", () => {
  fc.assert(
    fc.property(steps(200), steps(60), fc.nat(), (play, later, seed) => {
      const set = stage(seed);
      for (const step of play) act(set, step);
      const { world } = set;
      const before = world.orchestrator.state;
      const lives = livesOf(before);
      const survived = recover(world, (all) => ({ ...all, tasks: [...all.tasks].reverse() }));
      const { state } = world.orchestrator;
      assert.deepEqual([...state.jobs.keys()].sort(), lives.map(({ jobId }) => jobId).sort());
      for (const live of lives) assertSame(live, state.jobs.get(live.jobId) ?? assert.fail());
      assertAccounts(before, state);
      assertOrder(state);
      const told = world.effects.length;
      reportLost(world, survived);
      for (const effect of world.effects.slice(told)) {
        assert.notEqual(effect.type, "RefuseTask");
        if (effect.type !== "EndTask" || effect.outcome.kind !== "failed") continue;
        const live = lives.find(({ jobId }) => jobId === effect.jobId) ?? assert.fail();
        const allowed = [
          "WORKER_RESET",
          ...(live.deadlineAtMs <= world.nowMs ? ["DEADLINE_UNMET"] : []),
          // Where it may run has become something else, or has gone, before the restart.
          ...(isPicky(live) ? ["REPLICA_EXHAUSTED"] : []),
          ...(live.task.placement.mode === "pin" ? ["POOL_UNAVAILABLE"] : []),
        ];
        assert.ok(allowed.includes(effect.outcome.code), `It ends with ${effect.outcome.code}.`);
      }
      for (const step of later) act(set, step);
      world.pass(3_600_000);
      for (const { jobId, place } of world.orchestrator.state.jobs.values()) {
        assert.equal(place?.kind, "running", `Task ${jobId} waits for ever.`);
      }
    }),
    { numRuns: 150 },
  );
});

const isPicky = ({ task: { placement } }: Live): boolean =>
  placement.mode === "pin" || placement.avoidPools.length > 0;

function assertSame(live: Live, again: Live): void {
  const { task, known, ordinal, deadlineAtMs, cost, lane, reserved, bodyBytes, memoryBytes, attempts } =
    again;
  assert.deepEqual(task, plain(live.task));
  assert.deepEqual(
    { ordinal, deadlineAtMs, cost, lane, reserved, bodyBytes, memoryBytes, attempts },
    {
      ordinal: live.ordinal,
      deadlineAtMs: live.deadlineAtMs,
      cost: live.cost,
      lane: live.lane,
      reserved: live.reserved,
      bodyBytes: live.bodyBytes,
      memoryBytes: live.memoryBytes,
      attempts: live.attempts,
    },
  );
  assert.deepEqual(plain(known.answer), plain(live.known.answer));
  assert.equal(again.place?.kind, live.attempts > 0 ? "running" : "waiting");
}

/** Accounts, without what was reserved for tasks that are over and were only stopping. */
function assertAccounts(before: Readonly<State>, state: Readonly<State>): void {
  const lives = livesOf(before);
  const sum = (of: readonly Live[]) => of.reduce((total, { reserved }) => total + reserved.tokens, 0);
  for (const { id, spent } of before.tenants.values()) {
    const own = lives.filter(({ tenantId }) => tenantId === id);
    const again = state.tenants.get(id);
    if (before.settings.tenantBudgets[id] !== undefined) assert.deepEqual(again?.spent, spent);
    assert.equal(again?.reserved.tokens ?? 0, sum(own));
    assert.equal(again?.live ?? 0, own.length);
  }
  const beyond = before.sessions.size - before.settings.session.liveMax;
  let forgotten = 0;
  for (const session of before.sessions.values()) {
    const { tenantId, sessionId, serial, expiresAtMs, turns, spent } = session;
    const again = state.sessions.get(tenantId, sessionId);
    if (again === undefined) {
      assert.ok(session.live === 0 && forgotten++ < beyond, "An idle one goes where there are too many.");
      continue;
    }
    assert.deepEqual(
      [again.serial, again.expiresAtMs, again.turns, again.spent],
      [serial, expiresAtMs, turns, spent],
    );
    const own = lives.filter((live) => live.session === session);
    assert.equal(again.reserved.tokens, sum(own));
    assert.equal(again.live, own.length);
  }
}

/** First come, first served, inside each flow; or the earlier deadline, where that rules. */
function assertOrder(state: Readonly<State>): void {
  for (const { queue, settings: own } of state.sets.values()) {
    const last = new Map<string, Live>();
    for (const live of queue.items()) {
      const flow = `${live.tenantId} ${live.priority}`;
      const former = last.get(flow);
      last.set(flow, live);
      if (former === undefined) continue;
      if (own.edf) assert.ok(former.deadlineAtMs <= live.deadlineAtMs);
      else assert.ok(former.ordinal < live.ordinal);
    }
  }
}

test("more tasks than the pool may hold come back, run in their order, and newcomers come behind them", () => {
  const world = new World();
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  restart(world, (survived) => ({ ...survived, settings: settings({ pools: [pool({ capacity: 1 })] }) }));
  assert.equal(only(world.submit("e"), "RefuseTask").length, 1);
  world.replica("p", "r0", { epoch: 2 });
  for (const id of ["a", "b", "c", "d"]) {
    world.end(id);
    assert.equal(world.outcome(id)?.kind, "done");
  }
  world.submit("f");
  assert.ok((world.orchestrator.state.jobs.get("job-f")?.ordinal ?? 0) >= 4);
});

test("an attempt that went with the process is followed by the next one, and a restart takes none of the tries", () => {
  const world = new World();
  world.submit("a");
  for (let n = 1; n <= 5; n++) {
    restart(world);
    world.replica("p", "r0", { epoch: 1 });
    assert.equal(lastOf(world, "a").attempt, n + 1);
    assert.equal(lastOf(world, "a").resume, null);
    assert.equal(lastOf(world, "a").waited, null, "It has waited for its first attempt only.");
  }
  assert.equal(world.outcome("a"), undefined);
});

test("a strict task of which frames are known is replayed on its own set, and reset where that came back as another", () => {
  for (const [engineVersion, resume, code] of [
    ["b1", "replayed", undefined],
    ["b2", undefined, "WORKER_RESET"],
  ] as const) {
    const world = new World();
    world.submit("a");
    restart(world, (survived) => withTask(survived, { frames: 2, tokensOut: 3 }));
    world.replica("p", "r0", { facts: facts({ engineVersion }) });
    assert.equal(world.attempts("a")[1]?.resume, resume);
    assert.equal(codeOf(world, "a"), code);
  }
});

test("a strict task that is read may have shown more than is known, and then runs nowhere else", () => {
  for (const [wasRead, resume, code] of [
    [true, undefined, "WORKER_RESET"],
    [false, null, undefined],
  ] as const) {
    const world = new World();
    world.submit("a");
    restart(world, (survived) => withTask(survived, { frames: 0, wasRead }));
    world.replica("p", "r0", { facts: facts({ engineVersion: "b2" }) });
    assert.equal(world.attempts("a")[1]?.resume, resume);
    assert.equal(codeOf(world, "a"), code);
  }
  const same = new World();
  same.submit("a");
  restart(same, (survived) => withTask(survived, { frames: 0, wasRead: true }));
  same.replica("p", "r0");
  assert.equal(lastOf(same, "a").resume, "replayed");
});

test("a best-effort task goes on after the frames that are known, and is reset where that cannot be", () => {
  const world = new World({ settings: bestEffort, slots: 2 });
  world.submit("a");
  world.submit("b");
  const survived = recover(world, (all) => withTask(all, { frames: 2, tokensOut: 3, wasRead: true }));
  const [first = assert.fail(), second = assert.fail()] = survived.tasks;
  reportLost(world, { ...survived, tasks: [first] });
  reportLost(world, { ...survived, tasks: [second] }, false);
  world.replica("p", "r0", { facts: facts({ engineVersion: "b2" }) });
  const { resume, limits: granted, attempt } = lastOf(world, "a");
  assert.deepEqual([attempt, resume, granted.maxTokens], [2, "continued", 7]);
  assert.equal(codeOf(world, "b"), "WORKER_RESET");
});

test("a drain goes on: what still runs at its deadline is lost, and an empty pool stays drained", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  world.submit("a");
  world.say({ type: "DrainRequested", poolId: "p", deadlineMs: 500 });
  world.say({ type: "DrainRequested", poolId: "q", deadlineMs: 700 });
  world.pass(100);
  const survived = recover(world);
  const { pools, timers } = world.orchestrator.state;
  assert.equal(pools.get("p")?.draining?.ended, false);
  assert.equal(pools.get("q")?.draining?.ended, true);
  assert.equal(timers.get("drain p"), 500);
  reportLost(world, survived);
  assert.equal(pools.get("p")?.draining?.ended, true);
  world.replica("p", "r0");
  assert.equal(world.attempts("a").length, 1);
});

test("sessions come back with turns, spending and expiry, and those that expire first go first", () => {
  const session = { ...settings().session, ttlMs: 1000, budgets: { tokens: 100 } };
  const world = new World({ settings: settings({ session }) });
  for (const id of ["a", "b", "c"]) {
    world.submit(id, { sessionId: id });
    world.end(id);
    world.pass(100);
  }
  world.submit("d", { sessionId: "a" });
  const views = () => ["a", "b", "c"].map((id) => world.orchestrator.session("default", id));
  const before = views();
  recover(world, (survived) => ({ ...survived, sessions: [...survived.sessions].reverse() }));
  assert.deepEqual(views(), before);
  assert.deepEqual(
    [...world.orchestrator.state.idleSessions.entries()].map(([key]) => key),
    ["default/b", "default/c"],
  );
  assert.ok(world.orchestrator.state.timers.has("sessions"));
});

test("no more sessions come back than there may be, and those with work in hand do", () => {
  const session = { ...settings().session, liveMax: 2 };
  const world = new World();
  for (const id of ["a", "b", "c"]) {
    world.submit(id, { sessionId: id });
    if (id !== "a") world.end(id);
    world.pass(10);
  }
  world.end("a");
  for (const id of ["b", "c"]) world.end(id);
  world.submit("d", { sessionId: "a" });
  recover(world, (survived) => ({ ...survived, settings: settings({ session }) }));
  const left = [...world.orchestrator.state.sessions.values()].map(({ sessionId }) => sessionId);
  assert.deepEqual(left.sort(), ["a", "c"]);
});

test("a tenant keeps what it has spent and reserved, and one without a budget is not kept", () => {
  const world = new World({ settings: settings({ tenantBudgets: { blue: { tokens: 40 } } }), slots: 2 });
  for (const tenantId of ["blue", "red"]) {
    world.submit("a", { tenantId }, { jobId: `job-a-${tenantId}` });
  }
  world.submit("b", { tenantId: "blue" });
  restart(world, (survived) => ({
    ...survived,
    tenants: ["blue", "red", "green"].map((tenantId) => ({
      tenantId,
      spent: { tokens: 15, timeMs: 5, cost: 0 },
    })),
  }));
  const { tenants } = world.orchestrator.state;
  assert.deepEqual([...tenants.keys()].sort(), ["blue", "red"]);
  assert.deepEqual([tenants.get("blue")?.spent.tokens, tenants.get("blue")?.reserved.tokens], [15, 20]);
  assert.equal(tenants.get("red")?.spent.tokens, 0);
  const [refusal] = only(world.submit("c", { tenantId: "blue" }), "RefuseTask");
  assert.equal(refusal?.code, "INVALID_PARAMS");
});

test("who was reading has half a minute to come back, and what nobody read runs to its end", () => {
  const world = new World({ slots: 2 });
  world.submit("read");
  world.submit("unread");
  world.say({ type: "ReadersChanged", jobId: "job-read", readers: 1 });
  restart(world);
  world.pass(limits.graceAfterRestartMs - 1);
  assert.equal(world.outcome("read"), undefined);
  world.pass(1);
  assert.equal(codeOf(world, "read"), "canceled");
  world.replica("p", "r0");
  world.end("unread");
  assert.equal(codeOf(world, "unread"), "done");
});

test("a deadline that passed while nobody was there ends the task at its timer, and not before", () => {
  const world = new World();
  world.submit("running");
  world.submit("late", { deadlineMs: 50_000 });
  recover(world, (survived) => ({ ...survived, nowMs: 90_000 }));
  assert.equal(world.orchestrator.state.timers.get("deadline"), 90_000);
  world.nowMs = 90_000;
  world.pass(0);
  assert.equal(codeOf(world, "late"), "DEADLINE_UNMET");
});

test("the facts of a task are told as long as it is live, and share nothing that changes", () => {
  const world = new World();
  world.submit("a");
  const { orchestrator } = world;
  const session = orchestrator.sessionFacts("default", "a");
  assert.equal(orchestrator.taskFacts("job-a")?.sessionSerial, session?.serial);
  assert.deepEqual(orchestrator.sentTo("job-a")?.attempt, 1);
  world.submit("b");
  assert.equal(orchestrator.sentTo("job-b"), undefined);
  world.say({ type: "SessionDeleted", tenantId: "default", sessionId: "a" });
  assert.equal(orchestrator.taskFacts("job-a")?.sessionSerial, null);
  world.end("a");
  assert.equal(session?.spent.tokens, 0);
  assert.equal(orchestrator.taskFacts("job-a"), undefined);
  assert.equal(orchestrator.sentTo("job-a"), undefined);
  assert.equal(orchestrator.sessionFacts("default", "a"), undefined);
});

test("before anything was ever configured there is nothing to recover", () => {
  const nothing = { replicas: [], drains: [], tasks: [], sessions: [], tenants: [] };
  const orchestrator = Orchestrator.recover({ nowMs: 5, settings: null, ...nothing }, 1);
  assert.equal(orchestrator.state.nowMs, 5);
  assert.equal(orchestrator.state.timers.size, 0);
});
