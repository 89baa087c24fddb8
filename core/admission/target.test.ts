import assert from "node:assert/strict";
import { test } from "node:test";
import type { Placement, Task } from "@llama-orch/contract";
import fc from "fast-check";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import { Orchestrator } from "../orchestrator.ts";
import type { PoolSettings } from "../settings.ts";
import type { Replica } from "../state.ts";

const speed = { tokensPerS: 10 };

/** Pools as given, each with a replica `r` that is ready and has one slot. */
function worldOf(...pools: Partial<PoolSettings>[]): World {
  const world = new World({
    settings: settings({ pools: pools.map((fields) => pool(fields)) }),
    ready: false,
  });
  for (const { id = "p" } of pools)
    world.replica(id, "r", { facts: facts({ speed, computeFingerprint: id }) });
  return world;
}

const wish = (fields: Partial<Placement>): Partial<Task> => ({
  placement: { mode: "auto", preferPools: [], avoidPools: [], allowFallback: true, ...fields },
});

const poolOf = (world: World, id: string, fields: Partial<Task> = {}, event = {}) => {
  const effects = world.submit(id, fields, event);
  return only(effects, "AcceptTask")[0]?.poolId ?? only(effects, "RefuseTask")[0]?.code;
};

test("a task goes to the set where it is predicted to start first", () => {
  const world = worldOf({ id: "a" }, { id: "b" });
  assert.deepEqual(["1", "2", "3", "4"].map((id) => poolOf(world, id)).sort(), ["a", "a", "b", "b"]);
  world.submit("long", {
    maxTokens: 1000,
    placement: wish({ mode: "pin", pinPoolId: "a" }).placement as Placement,
  });
  assert.equal(poolOf(world, "5"), "b");
});

test("a set whose replicas are all down takes nothing, however empty it is", () => {
  for (const status of ["failed", "stopped", "draining"] as const) {
    const world = worldOf({ id: "a" });
    world.replica("a", "dead", { status, facts: facts({ speed, computeFingerprint: "other" }) });
    for (const id of ["1", "2", "3"]) world.submit(id);
    for (const id of ["1", "2", "3"]) world.end(id);
    assert.equal(world.of("DispatchAttempt").length, 3, status);
  }
});

test("a task goes only where its context fits [OC-CORE-1016]", () => {
  const world = worldOf({ id: "a" }, { id: "b" });
  world.replica("a", "r", { facts: facts({ speed, ctxMax: 8192 }) });
  world.submit("busy", {
    maxTokens: 1000,
    placement: wish({ mode: "pin", pinPoolId: "a" }).placement as Placement,
  });
  assert.equal(poolOf(world, "uses it", { maxTokens: 5000 }), "a");
  assert.equal(poolOf(world, "asks for it", { ctx: 4097 }), "a");
  assert.equal(poolOf(world, "needs less", { ctx: 4096 }), "b");
});

test("a task goes only where its extensions are, and is refused where nobody has them [OC-CORE-1016]", () => {
  const world = worldOf({ id: "a" }, { id: "b" });
  world.replica("b", "r", { facts: facts({ speed, features: ["json_schema"] }) });
  world.submit("busy", {
    maxTokens: 1000,
    placement: wish({ mode: "pin", pinPoolId: "b" }).placement as Placement,
  });
  assert.equal(poolOf(world, "1", {}, { extensions: ["json_schema"] }), "b");
  assert.equal(poolOf(world, "2", {}, { extensions: ["json_schema", "lora"] }), "POOL_UNAVAILABLE");
});

test("a task that waits for the only place it wants does not hold up those that may run elsewhere", () => {
  const wishes: readonly (readonly [Partial<Task>, { extensions?: string[] }])[] = [
    [wish({ mode: "pin", pinPoolId: "a" }), {}],
    [wish({ mode: "prefer", preferPools: ["a"], allowFallback: false }), {}],
    [wish({ avoidPools: ["b"] }), {}],
    [wish({ requireDeviceMask: "0" }), {}],
    [{}, { extensions: ["lora"] }],
  ];
  for (const [fields, event] of wishes) {
    const pools = [pool({ id: "a", deviceMask: "0" }), pool({ id: "b", deviceMask: "1" })];
    const world = new World({ settings: settings({ pools }), ready: false });
    world.replica("a", "r", { facts: facts({ features: ["lora"] }) });
    world.replica("b", "r", { facts: facts() });
    for (const id of ["1", "2"]) world.submit(id, fields, event);
    world.submit("3");
    const went = ["1", "2", "3"].map((id) => world.attempts(id)[0]?.poolId);
    assert.deepEqual(went, ["a", undefined, "b"], JSON.stringify([fields, event]));
  }
});

test("a full policy sends nobody away while another set has room", () => {
  const world = new World({
    settings: settings({ pools: ["a", "b"].map((id) => pool({ id, capacity: 1, fullPolicy: "drop-lru" })) }),
    ready: false,
  });
  for (const id of ["a", "b"]) world.replica(id, "r", { facts: facts({ speed, computeFingerprint: id }) });
  for (const id of ["a", "b"]) world.submit(`runs on ${id}`, { maxTokens: id === "a" ? 10 : 900 });
  assert.equal(poolOf(world, "waits"), "a");
  assert.equal(poolOf(world, "next"), "b", "it starts later there, but nobody has to go");
  assert.equal(world.of("EndTask").length, 0);
  poolOf(world, "third");
  assert.deepEqual(
    world.of("EndTask").map(({ taskId }) => taskId),
    ["waits"],
  );
});

test("preferred pools come first; without one that can serve, others do if fallback is allowed [PLACE-3903]", () => {
  const prefer = (allowFallback: boolean) => wish({ mode: "prefer", preferPools: ["b"], allowFallback });
  const world = worldOf({ id: "a" }, { id: "b" });
  assert.equal(poolOf(world, "1", prefer(true)), "b");
  assert.equal(poolOf(world, "2", prefer(true)), "b", "a busy one is still preferred");
  world.replica("b", "r", { status: "failed", facts: facts({ speed, computeFingerprint: "b" }) });
  assert.equal(poolOf(world, "3", prefer(true)), "a");
  assert.equal(poolOf(world, "4", prefer(false)), "POOL_UNAVAILABLE");
  assert.equal(poolOf(world, "5", wish({ mode: "prefer", preferPools: ["c"], allowFallback: true })), "a");
  assert.equal(
    poolOf(world, "6", wish({ mode: "prefer", preferPools: ["c"], allowFallback: false })),
    "POOL_UNAVAILABLE",
  );
});

test("avoided pools are out, and a device mask must be equal to the letter [PLACE-3903, ORCH-3011]", () => {
  const world = worldOf({ id: "a", deviceMask: "0" }, { id: "b", deviceMask: "0,1" });
  assert.equal(poolOf(world, "1", wish({ avoidPools: ["a"] })), "b");
  assert.equal(poolOf(world, "2", wish({ requireDeviceMask: "0" })), "a");
  assert.equal(poolOf(world, "3", wish({ requireDeviceMask: "0,1" })), "b");
  assert.equal(poolOf(world, "4", wish({ requireDeviceMask: "1" })), "POOL_UNAVAILABLE");
  assert.equal(poolOf(world, "5", wish({ requireDeviceMask: "0", avoidPools: ["a"] })), "POOL_UNAVAILABLE");
});

test("a pinned task goes to its pool alone, and waits there while others are free [OC-CORE-1018]", () => {
  const world = worldOf({ id: "a" }, { id: "b" });
  const pinned = wish({ mode: "pin", pinPoolId: "b" });
  for (const id of ["1", "2", "3"]) assert.equal(poolOf(world, id, pinned), "b");
  world.end("1");
  world.end("2");
  assert.deepEqual(
    world.of("DispatchAttempt").map(({ poolId, decision }) => [poolId, decision.pinned]),
    [
      ["b", true],
      ["b", true],
      ["b", true],
    ],
  );
});

test("a pin wins over the share of the canary [OC-CORE-1018]", () => {
  const world = worldOf({ id: "a", canary: { modelRef: "new", percent: 100 } }, { id: "b", modelRef: "new" });
  assert.equal(poolOf(world, "1"), "b");
  assert.equal(poolOf(world, "2", wish({ mode: "pin", pinPoolId: "a" })), "a");
});

test("pools that share a set share its queue; a full one lets the task count in its sibling", () => {
  const world = new World({
    settings: settings({ pools: ["a", "b"].map((id) => pool({ id, capacity: 1 })) }),
    ready: false,
  });
  for (const id of ["a", "b"]) world.replica(id, "r");
  assert.equal(world.orchestrator.state.sets.size, 1);
  const went = ["1", "2", "3", "4", "5"].map((id) => poolOf(world, id));
  assert.deepEqual(went.slice(2).sort(), ["ADMISSION_REJECT", "a", "b"]);
});

test("strict is a promise: only a strict pool takes a task that asks for it", () => {
  const world = worldOf({ id: "a", determinism: "best_effort" }, { id: "b" });
  for (const id of ["1", "2", "3"]) assert.equal(poolOf(world, id, { determinism: "strict" }), "b");
  assert.equal(poolOf(world, "4", { determinism: "best_effort" }), "a");
});

test("a task that is larger than all memory that can come free is refused with the bytes; others wait [ORCH-3020]", () => {
  const world = worldOf({ id: "a" });
  const on = (fields: Parameters<typeof facts>[0], status: "ready" | "loading" = "ready") =>
    world.replica("a", "r", { status, facts: facts({ speed, slotsTotal: 9, ...fields }) });
  on({ vramFreeBytes: 1000 });
  const send = (id: string, memoryBytes: number, fields = {}) => world.submit(id, fields, { memoryBytes });
  const refused = () => only(send("large", 1001), "RefuseTask")[0];
  assert.deepEqual([refused()?.code, refused()?.details.policy_label], ["POOL_UNAVAILABLE", "retry"]);
  assert.match(refused()?.message ?? "", /1001 bytes and at most 1000/);
  const pinned = only(send("pinned", 1001, wish({ mode: "pin", pinPoolId: "a" })), "RefuseTask")[0];
  assert.equal(pinned?.code, "POOL_UNREADY");
  assert.match(pinned?.message ?? "", /1001 bytes and at most 1000/);
  send("runs", 600);
  on({ vramFreeBytes: 400 });
  assert.match(refused()?.message ?? "", /1001 bytes and at most 1000/);
  assert.equal(only(send("waits", 1000), "AcceptTask").length, 1);
  assert.equal(world.attempts("waits").length, 0);
  world.end("runs");
  on({ vramFreeBytes: 1000 });
  assert.equal(world.attempts("waits").length, 1);
  on({ vramFreeBytes: 0 }, "loading");
  assert.equal(only(send("nobody has measured", 1001), "AcceptTask").length, 1);
});

test("of all sets the one with the smallest predicted start is taken, then that with more free slots, then by name [PLACE-3902]", () => {
  const load = fc.array(fc.record({ at: fc.nat(2), maxTokens: fc.integer({ min: 1, max: 9 }) }), {
    maxLength: 12,
  });
  const slots = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 3, maxLength: 3 });
  const ids = ["a", "b", "c"];
  fc.assert(
    fc.property(load, slots, fc.nat(3000), fc.boolean(), (load, slots, ms, known) => {
      const world = new World({ settings: settings({ pools: ids.map((id) => pool({ id })) }), ready: false });
      for (const [i, id] of ids.entries()) {
        const rates = known ? { speed } : {};
        world.replica(id, "r", {
          facts: facts({ ...rates, computeFingerprint: id, slotsTotal: slots[i] ?? 1 }),
        });
      }
      const pinnedTo = (i: number) => wish({ mode: "pin", pinPoolId: ids[i] as string });
      for (const [i, { at, maxTokens }] of load.entries())
        world.submit(`${i}`, { maxTokens, ...pinnedTo(at) });
      world.pass(ms);
      const snapshot = world.orchestrator.snapshot();
      const { sets, pools } = world.orchestrator.state;
      const ranked = ids.map((poolId, i) => {
        const elsewhere = new World({ ready: false });
        elsewhere.orchestrator = Orchestrator.restore(snapshot);
        elsewhere.nowMs = world.nowMs;
        const [accepted] = only(elsewhere.submit("probe", pinnedTo(i)), "AcceptTask");
        const replica = pools.get(poolId)?.replicas.get("r") as Replica;
        const free = replica.facts.slotsTotal - replica.running.size;
        return {
          poolId,
          startMs: accepted?.answer.predictedStartMs ?? 0,
          free,
          set: sets.get(replica.setId)?.id ?? "",
        };
      });
      ranked.sort((x, y) => x.startMs - y.startMs || y.free - x.free || (x.set < y.set ? -1 : 1));
      assert.equal(poolOf(world, "probe"), ranked[0]?.poolId);
    }),
    { numRuns: 50 },
  );
});
