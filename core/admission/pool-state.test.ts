import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReplicaReported } from "../events.ts";
import { type Body, facts, only, pool, settings, World } from "../fixtures/world.ts";
import { limits } from "../limits.ts";
import type { Settings } from "../settings.ts";

const pinned = {
  mode: "pin",
  pinPoolId: "p",
  preferPools: [],
  avoidPools: [],
  allowFallback: true,
} as const;

type State = Partial<Body<ReplicaReported>>;

const verdict = (world: World, id: string, fields: Parameters<World["submit"]>[1] = {}) => {
  const effects = world.submit(id, fields);
  const [refused] = only(effects, "RefuseTask");
  return refused === undefined ? "accepted" : [refused.code, refused.details.policy_label];
};

const breaker = { threshold: 2, openMs: 7000, maxRestarts: 10, windowMs: 60_000 };
const unavailable = ["POOL_UNAVAILABLE", "retry"];
const unready = ["POOL_UNREADY", undefined];
const soon = limits.startingReplicaMs - 1;
const late = limits.startingReplicaMs;

const states: readonly (readonly [string, State, "accepted" | string[]])[] = [
  ["ready", { status: "ready" }, "accepted"],
  ["starting, for who knows how long", { status: "starting" }, "accepted"],
  ["starting, and soon there", { status: "starting", readyInMs: soon }, "accepted"],
  ["starting, but not before a minute", { status: "starting", readyInMs: late }, unavailable],
  ["loading, and soon there", { status: "loading", readyInMs: soon }, "accepted"],
  ["loading, but not before a minute", { status: "loading", readyInMs: late }, unavailable],
  ["backing off, and soon back", { status: "backing_off", readyInMs: soon }, "accepted"],
  ["backing off for a minute", { status: "backing_off", readyInMs: late }, unavailable],
  ["backing off without end", { status: "backing_off" }, unavailable],
  ["failed", { status: "failed", lastError: "GPU_REQUIRED" }, unavailable],
  ["stopped", { status: "stopped" }, unavailable],
];

for (const [name, state, expected] of states) {
  const what = expected === "accepted" ? "takes tasks" : `answers ${expected[0]}`;
  test(`a pool whose only replica is ${name} ${what}`, () => {
    const world = new World({ ready: false });
    world.replica("p", "r", state);
    assert.deepEqual(verdict(world, "1"), expected);
    if (expected !== "accepted") {
      const [refused] = only(world.submit("2"), "RefuseTask");
      if (state.lastError !== undefined) assert.match(refused?.message ?? "", /GPU_REQUIRED/);
      world.replica("p", "other");
      assert.equal(verdict(world, "3"), "accepted", "one that is ready is enough");
    }
  });
}

test("without any replica, or any pool of the model, tasks get POOL_UNAVAILABLE [CLOUD-13]", () => {
  assert.deepEqual(verdict(new World({ ready: false }), "1"), unavailable);
  assert.deepEqual(verdict(new World({ settings: settings({ pools: [] }), ready: false }), "1"), unavailable);
});

const elsewhere = { mode: "auto", preferPools: [], avoidPools: ["p"], allowFallback: true } as const;
const onlyQ = { mode: "prefer", preferPools: ["q"], avoidPools: [], allowFallback: false } as const;

const noPlaces: readonly (readonly [string, State, object, object])[] = [
  ["is not ready", { status: "failed" }, {}, [1, 0, "POOL_UNREADY"]],
  ["is pinned and not ready", { status: "failed" }, { placement: pinned }, [1, 0, "pinned_pool_infeasible"]],
  ["is to be avoided", {}, { placement: elsewhere }, [1, 0, "MASK_UNSATISFIED"]],
  ["is not the preferred one", {}, { placement: onlyQ }, [1, 1, "no_preferred_feasible"]],
];

for (const [name, state, fields, expected] of noPlaces) {
  test(`where the only replica ${name} the refusal says what was looked at and why it was not enough`, () => {
    const world = new World({ ready: false });
    world.replica("p", "r", state);
    const [refused] = only(world.submit("1", fields), "RefuseTask");
    const { candidatesTotal, candidatesFeasible, reason } = refused?.noPlace ?? assert.fail("no reason");
    assert.deepEqual([candidatesTotal, candidatesFeasible, reason], expected);
  });
}

test("what an engine lacks and what memory it lacks are reasons of their own, and other refusals have none", () => {
  const world = new World({ ready: false });
  world.replica("p", "r", { facts: facts({ vramFreeBytes: 10 }) });
  const reason = (id: string, more: object) => {
    const [refused] = only(world.submit(id, {}, more), "RefuseTask");
    return refused?.noPlace?.reason;
  };
  assert.equal(reason("1", { extensions: ["rerank"] }), "EXTENSIONS_UNSATISFIED");
  assert.equal(reason("2", { memoryBytes: 11 }), "NO_CAPACITY");
  const [late] = only(world.submit("3", { deadlineMs: 0 }), "RefuseTask");
  assert.deepEqual([late?.code, late?.noPlace], ["DEADLINE_UNMET", undefined]);
});

const drain = (world: World, poolId: string) =>
  world.say({ type: "DrainRequested", poolId, deadlineMs: 1000 });

test("POOL_UNREADY is for pools that are draining or whose breaker is open, as long as no other can serve", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  world.replica("q", "r0");
  drain(world, "p");
  assert.equal(verdict(world, "1"), "accepted");
  drain(world, "q");
  assert.deepEqual(verdict(world, "2"), unready);
});

test("a pinned task gets POOL_UNREADY whatever keeps its pool from serving [OC-CORE-1019]", () => {
  const placement = {
    mode: "pin",
    pinPoolId: "p",
    preferPools: [],
    avoidPools: [],
    allowFallback: true,
  } as const;
  for (const [name, state, expected] of states) {
    const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }), ready: false });
    world.replica("q", "r0");
    world.replica("p", "r", state);
    assert.deepEqual(verdict(world, "1", { placement }), expected === "accepted" ? expected : unready, name);
  }
});

test("a pinned task is told what its pool really is, and when it can come again if that is known [OC-CORE-1019]", () => {
  const pin = { mode: "pin", pinPoolId: "p", preferPools: [], avoidPools: [], allowFallback: true } as const;
  const told = (happens: (world: World) => unknown, event = {}, configured = pool({ breaker })) => {
    const world = new World({ settings: settings({ pools: [configured] }) });
    happens(world);
    const [refused] = only(world.submit("x", { placement: pin }, event), "RefuseTask");
    return [refused?.code, refused?.message, refused?.details.retry_after_ms];
  };
  const as = (state: State) => (world: World) => world.replica("p", "r0", state);
  const words = (text: string, retryMs = 5000) => ["POOL_UNREADY", `The pinned pool p ${text}`, retryMs];
  assert.deepEqual(
    told(as({ status: "failed", lastError: "exit 1" })),
    words("has failed. Last error: exit 1"),
  );
  assert.deepEqual(
    told(as({ status: "backing_off", readyInMs: late, lastError: "exit 1" })),
    words("has no engine that is ready; they are backing off. Last error: exit 1", late),
  );
  assert.deepEqual(
    told((world) => drain(world, "p")),
    words("is draining and takes no new tasks."),
  );
  assert.deepEqual(
    told(() => {}, { extensions: ["lora"] }),
    words("serves, but none of its engines has what the task needs."),
  );
  const opened = (world: World) => {
    world.submit("1");
    for (let i = 0; i < 2; i++) world.lose("1");
    world.pass(2000);
  };
  assert.deepEqual(told(opened), words("rests for 5000 ms after faults in a row."));
  const other = pool({ modelRef: "other" });
  assert.deepEqual(
    told(() => {}, {}, other),
    words("does not serve m now."),
  );
});

test("an open breaker refuses with the time it stays open, then one task may try", () => {
  const world = new World({ settings: settings({ pools: [pool({ breaker })] }) });
  world.submit("1");
  world.lose("1");
  world.lose("1");
  world.pass(2000);
  const [refused] = only(world.submit("2"), "RefuseTask");
  assert.equal(refused?.code, "POOL_UNREADY");
  assert.equal(refused?.details.retry_after_ms, 5000);
  world.pass(5000);
  assert.equal(verdict(world, "3"), "accepted");
});

test("a task waits for a replica that is coming, and runs when it has come", () => {
  const world = new World({ ready: false });
  world.replica("p", "r", { status: "loading", readyInMs: 5000 });
  world.submit("1");
  world.pass(5000);
  assert.equal(world.attempts("1").length, 0);
  world.replica("p", "r");
  assert.equal(world.attempts("1").length, 1);
});

test("a deadline before the replica has come cannot be met", () => {
  const world = new World({ ready: false });
  const declared = facts({ speed: { tokensPerS: 10 } });
  world.replica("p", "r", { status: "loading", readyInMs: 5000, facts: declared });
  const [refused] = only(world.submit("1", { deadlineMs: 5999 }), "RefuseTask");
  assert.equal(refused?.code, "DEADLINE_UNMET");
  assert.equal(refused?.details.earliest_finish_ms, 6000);
  assert.equal(verdict(world, "2", { deadlineMs: 6000 }), "accepted");
});

const slo: Settings["slo"] = {
  windowMs: 1000,
  windows: 3,
  openMs: 5000,
  samplesMin: 1,
  classes: { interactive: { errorRate: 0.5 } },
};

test("a class that misses its objectives in three windows sheds new work as circuit-open; a trial closes it", () => {
  const world = new World({ settings: settings({ slo }) });
  const refusing = { kind: "refused", code: "INTERNAL", message: "no" } as const;
  for (let window = 0; window < 3; window++) {
    assert.equal(verdict(world, `${window}`), "accepted");
    world.end(`${window}`, { ending: refusing });
    world.pass(1000);
  }
  assert.deepEqual(verdict(world, "shed"), ["ADMISSION_REJECT", "circuit-open"]);
  assert.equal(only(world.submit("shed"), "RefuseTask")[0]?.details.retry_after_ms, 5000);
  assert.equal(verdict(world, "b", { priority: "batch" }), "accepted", "other classes go on");
  world.end("b");
  world.pass(5000);
  assert.equal(verdict(world, "trial"), "accepted");
  assert.deepEqual(verdict(world, "second"), ["ADMISSION_REJECT", "circuit-open"]);
  world.end("trial");
  assert.equal(verdict(world, "after"), "accepted");
});
