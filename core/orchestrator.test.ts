import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Effect } from "./effects.ts";
import type { Event } from "./events.ts";
import { act, type Stage, type Step, stage, steps } from "./fixtures/play.ts";
import { facts, only, pool, settings, World } from "./fixtures/world.ts";
import { Orchestrator } from "./orchestrator.ts";

test("a task is accepted, placed on the free slot at once, and ends with its outcome", () => {
  const world = new World();
  const effects = world.submit("a");
  assert.deepEqual(
    effects.map(({ type }) => type),
    ["SetTimer", "SetTimer", "AcceptTask", "DispatchAttempt"],
  );
  const [accepted] = only(effects, "AcceptTask");
  assert.deepEqual(accepted?.answer, {
    jobId: "job-a",
    queuePosition: 0,
    predictedStartMs: 0,
    preparation: [],
  });
  world.pass(110);
  const [ended] = only(world.end("a"), "EndTask");
  assert.deepEqual(ended?.outcome, { kind: "done", tokensOut: 10, decodeMs: 100 });
});

test("tasks of one tenant and class run in the order in which they came", () => {
  const world = new World();
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  for (const id of ["a", "b", "c", "d"]) world.end(id);
  assert.deepEqual(
    world.of("DispatchAttempt").map(({ jobId }) => jobId),
    ["job-a", "job-b", "job-c", "job-d"],
  );
});

/** A play told again, with a look at the state after each event. */
function retell(
  seed: number,
  events: readonly Event[],
  look: (core: Orchestrator, effects: Effect[]) => void,
) {
  const core = new Orchestrator(seed);
  for (const event of events) look(core, core.handle(event));
}

function played(seed: number, play: readonly Step[]): Stage {
  const set = stage(seed);
  for (const step of play) act(set, step);
  return set;
}

test("whatever happens, only a ready replica with a free slot in a pool that does not drain gets work [ORCH-3010, OC-CORE-1010, CLOUD-16]", () => {
  fc.assert(
    fc.property(steps(120), fc.nat(), (play, seed) => {
      retell(seed, played(seed, play).world.events, ({ state }, effects) => {
        for (const sent of only(effects, "DispatchAttempt")) {
          const pool = state.pools.get(sent.poolId);
          const replica = pool?.replicas.get(sent.replicaId);
          assert.equal(pool?.draining, undefined);
          assert.equal(replica?.epoch, sent.epoch);
          assert.equal(replica?.status, "ready");
          assert.ok(replica.running.size <= replica.facts.slotsTotal - replica.facts.slotsElsewhere);
          const node = replica.facts.nodeId;
          assert.ok(node === null || state.nodes.get(node)?.online === true);
        }
      });
    }),
    { numRuns: 80 },
  );
});

test("a task whose pool is no longer ready waits until its deadline, and is sent nowhere [ORCH-3010]", () => {
  const world = new World();
  world.submit("running");
  world.submit("waits", { deadlineMs: 90_000 });
  world.replica("p", "r0", { status: "failed" });
  world.end("running", { ending: { kind: "aborted" } });
  world.pass(89_999);
  assert.equal(world.outcome("waits"), undefined);
  assert.deepEqual(world.attempts("waits"), []);
  world.pass(1);
  const outcome = world.outcome("waits");
  assert.ok(outcome?.kind === "failed" && outcome.code === "DEADLINE_UNMET");
});

test("a task that is kept apart from a busy neighbour runs as soon as the neighbour is free", () => {
  const apart = pool({ id: "q", modelRef: "n", antiAffinity: { scope: "node", pools: ["p"] } });
  const world = new World({ settings: settings({ pools: [pool(), apart] }), ready: false });
  const on = { nodeId: "x" };
  world.replica("p", "r0", { facts: facts(on) });
  world.replica("q", "r0", { facts: facts({ ...on, modelDigest: `sha256:${"1".repeat(64)}` }) });
  world.submit("noisy");
  world.submit("quiet", { modelRef: "n" });
  assert.deepEqual(world.attempts("quiet"), []);
  world.end("noisy");
  assert.equal(world.attempts("quiet").length, 1);
});

test("whatever happens, a task has one attempt at a time and one outcome, and nothing comes after that", () => {
  fc.assert(
    fc.property(steps(120), fc.nat(), (play, seed) => {
      const running = new Map<string, number>();
      const attempts = new Map<string, number>();
      const over = new Set<string>();
      const { events } = played(seed, play).world;
      const core = new Orchestrator(seed);
      for (const event of events) {
        if (event.type === "AttemptEnded" && running.get(event.jobId) === event.attempt)
          running.delete(event.jobId);
        for (const effect of core.handle(event)) {
          if (effect.type === "DispatchAttempt") {
            assert.ok(!over.has(effect.jobId) && !running.has(effect.jobId));
            assert.equal(effect.attempt, (attempts.get(effect.jobId) ?? 0) + 1);
            attempts.set(effect.jobId, effect.attempt);
            running.set(effect.jobId, effect.attempt);
          } else if (effect.type === "EndTask" || effect.type === "CloseGate") {
            assert.ok(!over.has(effect.jobId));
            if (effect.type === "EndTask") over.add(effect.jobId);
          }
        }
      }
    }),
    { numRuns: 80 },
  );
});

test("once everything is well again every task ends, and nothing stays reserved, taken or waiting", () => {
  fc.assert(
    fc.property(steps(120), fc.nat(), (play, seed) => {
      const { world, variants } = played(seed, play);
      heal(world, variants[0] ?? assert.fail());
      for (let i = 0; i < 1000 && world.orchestrator.state.jobs.size > 0; i++) finishOne(world);
      const { state } = world.orchestrator;
      assert.equal(state.jobs.size, 0);
      assert.equal(
        new Set(world.of("EndTask").map(({ jobId }) => jobId)).size,
        world.of("AcceptTask").length,
      );
      for (const pool of state.pools.values()) {
        assert.deepEqual([pool.waitingTokens, pool.waitingBodyBytes, pool.departed.size], [0, 0, 0]);
        for (const replica of pool.replicas.values()) assert.equal(replica.running.size, 0);
      }
      for (const { queue, returns } of state.sets.values()) assert.equal(queue.size + returns.size, 0);
      for (const { reserved, live } of [...state.sessions.values(), ...state.tenants.values()]) {
        assert.deepEqual([live, reserved.tokens, reserved.timeMs], [0, 0, 0]);
      }
    }),
    { numRuns: 80 },
  );
});

function heal(world: World, healthy: Stage["variants"][number]): void {
  world.say({ type: "Configured", settings: healthy });
  for (const nodeId of ["x", "y"]) world.say({ type: "NodeRegistered", nodeId, address: "http://node" });
  for (const { id: poolId, modelRef, replicas, reload } of [...world.orchestrator.state.pools.values()]) {
    if (reload === undefined) {
      world.say({ type: "ReloadRequested", poolId, modelRef, drainDeadlineMs: 0 });
    }
    for (const replica of [...replicas.values()]) {
      world.replica(poolId, replica.replicaId, { epoch: replica.epoch + 1, facts: replica.facts });
    }
  }
}

/** What runs is done; where nothing runs, swaps succeed and time passes. */
function finishOne(world: World): void {
  const { jobs, pools } = world.orchestrator.state;
  for (const live of jobs.values()) {
    if (live.place?.kind !== "running") continue;
    const { attempt } = live.place;
    const made = { frames: 1, tokensOut: 1, attemptTokens: 1, promptTokens: 1, prefillMs: 1, decodeMs: 1 };
    const ending = { kind: "done" } as const;
    const of = { jobId: live.jobId, attempt, continuable: true } as const;
    world.say({ type: "AttemptEnded", ending, ...of, ...made });
    return;
  }
  for (const pool of pools.values()) {
    if (pool.reload?.swapping !== true) continue;
    world.say({ type: "ReloadEnded", poolId: pool.id, ok: true, engineVersion: null });
    return;
  }
  world.pass(1000);
}
