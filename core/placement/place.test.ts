import assert from "node:assert/strict";
import { test } from "node:test";
import type { Task } from "@llama-orch/contract";
import fc from "fast-check";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import type { PoolSettings } from "../settings.ts";

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

const ranOn = (world: World, id: string) => {
  const [attempt] = world.attempts(id);
  return attempt && `${attempt.poolId}/${attempt.replicaId}`;
};

function worldOf(pools: readonly Partial<PoolSettings>[], more: Parameters<typeof settings>[0] = {}): World {
  const all = { pools: pools.map((fields) => pool(fields)), ...more };
  return new World({ settings: settings(all), ready: false });
}

test("no slot idles while its set has work, and nothing is bound to a replica while it waits", () => {
  const world = worldOf([{ id: "a" }, { id: "b" }]);
  for (const id of ["a", "b"]) world.replica(id, "r", { facts: facts({ slotsTotal: 2 }) });
  const ids = numbered(12);
  for (const id of ids) world.submit(id);
  const running = () =>
    [...world.orchestrator.state.jobs.values()].filter(({ place }) => place?.kind === "running");
  for (let over = 0; over < 8; over++) {
    assert.equal(running().length, 4);
    const last = running().at(-1);
    world.end(last?.jobId.slice(4) ?? "");
  }
  assert.deepEqual(
    world.of("DispatchAttempt").map(({ jobId }) => jobId),
    ids.map((id) => `job-${id}`),
  );
});

test("a slot that comes free in any pool of the set takes the head", () => {
  const world = worldOf([{ id: "a" }, { id: "b" }]);
  for (const id of ["a", "b"]) world.replica(id, "r");
  for (const id of numbered(4)) world.submit(id);
  const onA = numbered(2).find((id) => ranOn(world, id) === "a/r") as string;
  world.end(onA);
  world.end("2");
  assert.equal(ranOn(world, "2"), "a/r");
  assert.equal(ranOn(world, "3"), "a/r");
});

test("a task is placed only once a replica is ready with a free slot, and waits till then [ORCH-3010]", () => {
  const world = worldOf([{}]);
  world.replica("p", "r", { status: "loading", readyInMs: 1000 });
  assert.equal(only(world.submit("a"), "DispatchAttempt").length, 0);
  world.replica("p", "r", { facts: facts({ slotsElsewhere: 1 }) });
  assert.equal(ranOn(world, "a"), undefined);
  world.replica("p", "r", { status: "failed" });
  assert.equal(world.outcome("a"), undefined);
  world.replica("p", "r");
  assert.equal(ranOn(world, "a"), "p/r");
});

test("a waiting task whose pool never comes back ends at its deadline and no sooner [ORCH-3010]", () => {
  const world = worldOf([{}]);
  world.replica("p", "r", { status: "loading", readyInMs: 1000 });
  world.submit("a", { deadlineMs: 5000 });
  world.replica("p", "r", { status: "failed" });
  world.pass(4999);
  assert.equal(world.outcome("a"), undefined);
  world.pass(1);
  assert.equal((world.outcome("a") as { code?: string }).code, "DEADLINE_UNMET");
});

test("once a shutdown has begun nothing is placed any more, and all of it goes on at the next start", () => {
  const world = worldOf([{}]);
  world.replica("p", "r", { facts: facts({ slotsTotal: 2 }) });
  for (const id of ["runs", "breaks", "waits"]) world.submit(id);
  world.say({ type: "ShutdownBegan" });
  world.end("runs");
  assert.equal(world.outcome("runs")?.kind, "done");
  world.lose("breaks", { frames: 0, tokensOut: 0 });
  world.replica("p", "r", { facts: facts({ slotsTotal: 2 }) });
  world.pass(5000);
  assert.deepEqual([ranOn(world, "waits"), world.attempts("breaks").length], [undefined, 1]);
  world.say({ type: "Restarted" });
  world.replica("p", "r", { epoch: 2, facts: facts({ slotsTotal: 2 }) });
  assert.deepEqual([ranOn(world, "waits"), world.attempts("breaks").length], ["p/r", 2]);
});

test("what came back first and cannot run yet does not hold up what came back later", () => {
  const world = worldOf([{ id: "a" }, { id: "b" }]);
  world.replica("a", "r", { facts: facts({ slotsTotal: 2 }) });
  const pinned = {
    mode: "pin",
    pinPoolId: "a",
    preferPools: [],
    avoidPools: [],
    allowFallback: true,
  } as const;
  world.submit("pinned", { placement: pinned });
  world.submit("free");
  world.replica("a", "r", { status: "loading", readyInMs: 1000, facts: facts({ slotsTotal: 2 }) });
  for (const id of ["pinned", "free"]) world.lose(id);
  world.replica("b", "r");
  assert.deepEqual(
    world
      .of("DispatchAttempt")
      .slice(2)
      .map(({ jobId, poolId }) => [jobId, poolId]),
    [["job-free", "b"]],
  );
});

test("slots that others use are not free, and a pool without any is no candidate", () => {
  const world = worldOf([{}]);
  world.replica("p", "r", { facts: facts({ slotsTotal: 3, slotsElsewhere: 2 }) });
  for (const id of ["a", "b"]) world.submit(id);
  assert.equal(world.of("DispatchAttempt").length, 1);
});

test("whatever the mix of free and busy devices, no task leaves its device mask [ORCH-3011, OC-CORE-1011]", () => {
  const step = fc.tuple(fc.constantFrom("0", "1", "0,1", undefined), fc.nat(5));
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
      const masks = { a: "0", b: "1", c: "0,1" };
      const world = worldOf(Object.entries(masks).map(([id, deviceMask]) => ({ id, deviceMask })));
      for (const id of Object.keys(masks)) world.replica(id, "r");
      const wanted = new Map<string, string | undefined>();
      for (const [i, [requireDeviceMask, end]] of steps.entries()) {
        wanted.set(`${i}`, requireDeviceMask);
        const auto = { mode: "auto", preferPools: [], avoidPools: [], allowFallback: true } as const;
        world.submit(`${i}`, {
          placement: requireDeviceMask === undefined ? auto : { ...auto, requireDeviceMask },
        });
        if (end === 0) world.end(`${Math.floor(i / 2)}`);
      }
      for (const { jobId, poolId } of world.of("DispatchAttempt")) {
        const mask = wanted.get(jobId.slice(4));
        if (mask !== undefined) assert.equal(masks[poolId as "a"], mask);
      }
    }),
    { numRuns: 40 },
  );
});

test("a session returns to its last replica on best-effort pools; on strict ones, or cold, it does not [OC-CORE-1013]", () => {
  for (const [determinism, kvHint, stays] of [
    ["best_effort", "reuse", true],
    ["best_effort", "cold", false],
    ["strict", "reuse", false],
  ] as const) {
    const world = worldOf([{ determinism }]);
    for (const id of ["r1", "r2", "r3"]) world.replica("p", id, { facts: facts({ slotsTotal: 2 }) });
    const say = (id: string, fields: Partial<Task> = {}) =>
      world.submit(id, { sessionId: "s", kvHint, ...fields });
    world.submit("other");
    say("first");
    assert.equal(ranOn(world, "first"), "p/r2");
    for (const id of ["other", "first"]) world.end(id);
    say("again");
    assert.equal(ranOn(world, "again") === "p/r2", stays, `${determinism} ${kvHint}`);
    if (!stays) continue;
    world.submit("fills", { sessionId: "s" });
    assert.equal(ranOn(world, "fills"), "p/r2");
    say("elsewhere");
    assert.equal(ranOn(world, "elsewhere"), "p/r1", "when it is full the usual order holds");
  }
});

test("a pool stays away from nodes, or zones, where a pool it must be kept apart from is running [ORCH-3008]", () => {
  for (const scope of ["node", "zone"] as const) {
    const world = worldOf([{ id: "noisy" }, { id: "quiet", antiAffinity: { scope, pools: ["noisy"] } }]);
    const at = (nodeId: string, zone: string) => ({
      facts: facts({ nodeId, zone, computeFingerprint: nodeId }),
    });
    const pin = (pinPoolId: string) =>
      ({ mode: "pin", pinPoolId, preferPools: [], avoidPools: [], allowFallback: true }) as const;
    world.replica("noisy", "r", at("n1", "z1"));
    world.replica("quiet", "r1", at(scope === "node" ? "n1" : "n2", "z1"));
    world.submit("loud", { placement: pin("noisy") });
    world.submit("soft", { placement: pin("quiet") });
    assert.equal(ranOn(world, "soft"), undefined, scope);
    world.end("loud");
    world.submit("next", { placement: pin("noisy") });
    assert.equal(ranOn(world, "soft"), "quiet/r1", scope);
  }
});

test("a canary gets its share of the sessions, the same session always the same model", () => {
  const percent = 30;
  const world = worldOf([
    { id: "old", capacity: 9999, canary: { modelRef: "new", percent } },
    { id: "new", modelRef: "new", capacity: 9999 },
  ]);
  for (const id of ["old", "new"]) world.replica(id, "r", { facts: facts({ modelDigest: id }) });
  const went = (id: string, sessionId: string) =>
    only(world.submit(id, { sessionId }), "AcceptTask")[0]?.poolId;
  const sessions = numbered(150);
  const first = sessions.map((id) => went(`a${id}`, id));
  const share = first.filter((poolId) => poolId === "new").length / sessions.length;
  assert.ok(Math.abs(share - percent / 100) < 0.1, `${share}`);
  assert.deepEqual(
    sessions.map((id) => went(`b${id}`, id)),
    first,
  );
  world.say({ type: "ModelChanged", modelRef: "new", digest: null, state: "Retired" });
  assert.ok(sessions.every((id) => went(`c${id}`, id) === "old"));
});

test("a canary of 0 percent gets nobody and one of 100 percent everybody", () => {
  for (const [percent, expected] of [
    [0, "old"],
    [100, "new"],
  ] as const) {
    const world = worldOf([
      { id: "old", canary: { modelRef: "new", percent } },
      { id: "new", modelRef: "new" },
    ]);
    for (const id of ["old", "new"]) world.replica(id, "r", { facts: facts({ modelDigest: id }) });
    for (const id of numbered(40)) assert.equal(only(world.submit(id), "AcceptTask")[0]?.poolId, expected);
  }
});

test("no task of a model that no pool has is placed; it is refused with POOL_UNAVAILABLE [CLOUD-13]", () => {
  const world = worldOf([
    { id: "a", modelRef: "m1" },
    { id: "b", modelRef: "m2" },
  ]);
  for (const id of ["a", "b"]) world.replica(id, "r", { facts: facts({ modelDigest: id }) });
  assert.equal(only(world.submit("x", { modelRef: "m3" }), "RefuseTask")[0]?.code, "POOL_UNAVAILABLE");
  for (const [id, modelRef] of [
    ["1", "m2"],
    ["2", "m1"],
  ] as const)
    world.submit(id, { modelRef });
  assert.deepEqual(
    ["1", "2"].map((id) => ranOn(world, id)),
    ["b/r", "a/r"],
  );
});

test("draining, failed and silent places are never chosen, even if nothing else is left [CLOUD-16, CLOUD-17, OC-CORE-1010]", () => {
  const nodes = { enabled: true, timeoutMs: 30_000 };
  const world = worldOf([{ id: "a" }, { id: "b" }, { id: "c" }, { id: "d" }], { nodes });
  world.say({ type: "NodeRegistered", nodeId: "up", address: "1" });
  world.say({ type: "NodeRegistered", nodeId: "mute", address: "2" });
  const on = (nodeId: string) => ({ facts: facts({ nodeId }) });
  world.replica("a", "r", on("unknown"));
  world.replica("b", "r", { status: "failed", ...on("up") });
  world.replica("c", "r", on("up"));
  world.say({ type: "DrainRequested", poolId: "c", deadlineMs: 1000 });
  assert.equal(only(world.submit("x"), "RefuseTask")[0]?.code, "POOL_UNREADY");
  assert.equal(world.of("DispatchAttempt").length, 0);
  world.replica("d", "r", on("up"));
  world.submit("y");
  assert.equal(ranOn(world, "y"), "d/r");
});

test("a pool's extra bytes count: a task waits until its memory and they are free, to the byte [ORCH-3020]", () => {
  const world = worldOf([{ extraBytes: 400 }]);
  const free = (vramFreeBytes: number) => world.replica("p", "r", { facts: facts({ vramFreeBytes }) });
  free(1099);
  world.submit("a", {}, { memoryBytes: 700 });
  assert.equal(ranOn(world, "a"), undefined);
  free(1100);
  assert.equal(ranOn(world, "a"), "p/r");
});

const waiting = fc.record({
  priority: fc.constantFrom("interactive", "batch" as const),
  tenantId: fc.constantFrom("a", "b"),
  maxTokens: fc.integer({ min: 1, max: 50 }),
  deadlineMs: fc.integer({ min: 100_000, max: 200_000 }),
});
const place = fc.record({ slotsTotal: fc.integer({ min: 1, max: 3 }), vramFreeBytes: fc.nat(2) });

test("fair order says which task, deadlines where they rule, and least load says where, in that sequence [ORCH-3091]", () => {
  const tasks = fc.array(waiting, { minLength: 1, maxLength: 15 });
  const places = fc.array(place, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(tasks, places, fc.boolean(), (tasks, places, edf) => {
      const world = worldOf([{ edf }], { nodes: { enabled: true, timeoutMs: 10 } });
      const report = (busy: boolean) => {
        for (const [i, { slotsTotal, vramFreeBytes }] of places.entries()) {
          const slotsElsewhere = busy ? slotsTotal : 0;
          const given = facts({ nodeId: "n", slotsTotal, slotsElsewhere, vramFreeBytes });
          world.replica("p", `r${i}`, { facts: given });
        }
      };
      world.say({ type: "NodeRegistered", nodeId: "n", address: "1" });
      report(true);
      for (const [i, fields] of tasks.entries()) world.submit(`${i}`, fields);
      const [set] = world.orchestrator.state.sets.values();
      const order = [...(set?.queue.items() ?? [])].map(({ jobId }) => jobId);
      assert.equal(order.length, tasks.length);
      world.pass(10);
      report(false);
      const placed = only(world.say({ type: "NodeHeard", nodeId: "n" }), "DispatchAttempt");
      const active = places.map(() => 0);
      const expected: (readonly [string, string])[] = [];
      for (const jobId of order) {
        const [best] = [...places.entries()]
          .filter(([i, { slotsTotal }]) => (active[i] as number) < slotsTotal)
          .sort(
            ([i, a], [j, b]) =>
              b.vramFreeBytes - a.vramFreeBytes || (active[i] as number) - (active[j] as number) || i - j,
          );
        if (best === undefined) break;
        active[best[0]] = (active[best[0]] as number) + 1;
        expected.push([jobId, `r${best[0]}`]);
      }
      assert.deepEqual(
        placed.map(({ jobId, replicaId }) => [jobId, replicaId]),
        expected,
      );
      if (!edf) return;
      const flows = Object.values(
        Object.groupBy(order, (jobId) => {
          const { priority, tenantId } = tasks[Number(jobId.slice(4))] as (typeof tasks)[number];
          return `${priority} ${tenantId}`;
        }),
      );
      for (const flow of flows) {
        const due = (flow ?? []).map((jobId) => tasks[Number(jobId.slice(4))]?.deadlineMs ?? 0);
        assert.deepEqual(
          due,
          due.toSorted((a, b) => a - b),
        );
      }
    }),
    { numRuns: 60 },
  );
});

test("memory is given away once, even before the replica has reported again", () => {
  const world = new World({ ready: false });
  const room = facts({ slotsTotal: 2, vramFreeBytes: 1500 });
  world.replica("p", "r0", { facts: room });
  world.submit("a", {}, { memoryBytes: 1000 });
  world.submit("b", {}, { memoryBytes: 1000 });
  assert.equal(world.attempts("a").length, 1);
  assert.equal(world.attempts("b").length, 0);
  world.pass(1);
  world.replica("p", "r0", { facts: { ...room, vramFreeBytes: 1000 } });
  assert.equal(world.attempts("b").length, 1);
});

test("among equals the topology of the session's last place wins, and the log says so [ORCH-3013]", () => {
  const world = worldOf([{}]);
  for (const [replicaId, topology] of [
    ["r0", "g0"],
    ["r1", "g1"],
    ["r2", "g1"],
  ] as const) {
    world.replica("p", replicaId, { facts: facts({ topology }) });
  }
  world.submit("other");
  world.submit("first", { sessionId: "s" });
  world.end("other");
  world.end("first");
  const [second] = only(world.submit("second", { sessionId: "s" }), "DispatchAttempt");
  assert.equal(second?.replicaId, "r1");
  assert.deepEqual(second?.decision.tieBreakers, ["topology", "replica_id"]);
  const [stranger] = only(world.submit("stranger"), "DispatchAttempt");
  assert.equal(stranger?.replicaId, "r0");
});
