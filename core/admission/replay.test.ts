import assert from "node:assert/strict";
import { test } from "node:test";
import type { Priority } from "@llama-orch/contract";
import fc from "fast-check";
import { facts, pool, settings, World } from "../fixtures/world.ts";
import { Orchestrator } from "../orchestrator.ts";

const act = fc.record({
  kind: fc.constantFrom("submit", "submit", "submit", "end", "cancel", "lose", "pass", "drain", "replica"),
  at: fc.nat(40),
  priority: fc.constantFrom<Priority>("interactive", "batch"),
  tenantId: fc.constantFrom("a", "b"),
  maxTokens: fc.integer({ min: 1, max: 100 }),
});
type Act = typeof act extends fc.Arbitrary<infer A> ? A : never;

const classes = { interactive: { weight: 8, rateLimitRps: 20 }, batch: { weight: 1 } };
const placement = { strategy: "random", allowPin: true } as const;
const pools = ["p", "q"].map((id) => pool({ id, capacity: 6, fullPolicy: "drop-lru", classes }));

const on = (nodeId: string) => facts({ nodeId, slotsTotal: 2 });

function make(): World {
  const world = new World({ settings: settings({ pools, placement }), ready: false, seed: 5 });
  for (const id of ["p", "q"]) {
    for (const nodeId of ["n1", "n2"]) world.replica(id, nodeId, { facts: on(nodeId) });
  }
  return world;
}

function follow(world: World, { kind, at, ...fields }: Act, i: number): void {
  const running = world.orchestrator.state.jobs.get(`job-${at}`)?.place?.kind === "running";
  if (kind === "submit") world.submit(`${i}`, fields);
  else if (kind === "cancel") world.cancel(`${at}`, fields.tenantId);
  else if (kind === "pass") world.pass(fields.maxTokens * 10);
  else if (kind === "drain" && at === 0) world.say({ type: "DrainRequested", poolId: "q", deadlineMs: 500 });
  else if (kind === "replica" && at < 3)
    world.replica("p", "n1", { status: at === 0 ? "failed" : "ready", facts: on("n1") });
  else if (kind === "end" && running) world.end(`${at}`);
  else if (kind === "lose" && running) world.lose(`${at}`);
}

test("equal events give equal effects, also by chance and from a snapshot in the middle [ORCH-3252, OC-CORE-DET-1033]", () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 10, maxLength: 80 }), fc.nat(80), (acts, restart) => {
      const [one, other] = [make(), make()];
      for (const [i, each] of acts.entries()) {
        if (i === restart) {
          const written = JSON.stringify(other.orchestrator.snapshot());
          other.orchestrator = Orchestrator.restore(JSON.parse(written));
        }
        follow(one, each, i);
        follow(other, each, i);
        assert.deepEqual(other.effects, one.effects);
      }
      assert.deepEqual(other.orchestrator.snapshot(), one.orchestrator.snapshot());
    }),
    { numRuns: 60 },
  );
});
