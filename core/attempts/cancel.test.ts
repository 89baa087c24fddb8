import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { only, settings, World } from "../fixtures/world.ts";
import { noSettings } from "../settings.ts";

const types = (effects: readonly { readonly type: string }[]) => effects.map(({ type }) => type);
const aborted = { ending: { kind: "aborted" } } as const;

test("the gate of a cancelled task closes before anything else, and the engine is told last", () => {
  const world = new World();
  world.submit("a");
  assert.deepEqual(types(world.cancel("a")), ["CloseGate", "EndTask", "AbortAttempt"]);
  assert.equal(world.outcome("a")?.kind, "canceled");
  assert.deepEqual(only(world.effects, "AbortAttempt"), [
    { type: "AbortAttempt", jobId: "job-a", attempt: 1, reason: "canceled" },
  ]);
});

test("a waiting task that is cancelled is never dispatched", () => {
  const world = new World();
  for (const id of ["a", "b", "c"]) world.submit(id);
  assert.deepEqual(types(world.cancel("b")), ["CloseGate", "EndTask"]);
  world.end("a");
  world.end("c");
  assert.deepEqual(world.attempts("b"), []);
  assert.equal(world.outcome("c")?.kind, "done");
});

test("the slot of a cancelled attempt is held until the engine has really stopped", () => {
  const world = new World();
  world.submit("a");
  world.submit("b");
  world.cancel("a");
  world.pass(60_000);
  assert.deepEqual(world.attempts("b"), []);
  world.end("a", aborted);
  assert.equal(world.attempts("b").length, 1);
});

test("cancelling again, or what is unknown or ended, changes nothing [OC-CORE-1005]", () => {
  const world = new World();
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  const positions = () =>
    [...world.orchestrator.waiting(onlySet(world))].map(({ jobId, position }) => `${jobId} ${position}`);
  assert.deepEqual(positions(), ["job-b 0", "job-c 1", "job-d 2"]);
  assert.equal(world.cancel("b").length > 0, true);
  assert.deepEqual(positions(), ["job-c 0", "job-d 1"]);
  const before = JSON.stringify(world.orchestrator.snapshot());
  assert.deepEqual(world.cancel("b"), []);
  assert.deepEqual(world.cancel("nobody"), []);
  assert.deepEqual(world.cancel("c", "another-tenant"), []);
  assert.equal(JSON.stringify(world.orchestrator.snapshot()), before);
  for (const id of ["a", "c", "d"]) world.end(id);
  assert.deepEqual(world.attempts("b"), []);
  assert.deepEqual(world.cancel("a"), []);
});

const onlySet = (world: World) => [...world.orchestrator.state.sets.keys()][0] as string;

test("a task that waits to be resumed ends at once when it is cancelled", () => {
  const world = new World();
  world.submit("a");
  world.replica("p", "r0", { status: "backing_off" });
  world.lose("a", { frames: 2 });
  assert.deepEqual(types(world.cancel("a")), ["CloseGate", "EndTask"]);
  world.replica("p", "r0", { epoch: 2 });
  assert.equal(world.attempts("a").length, 1);
});

test("an attempt that was told to stop already is not told again by a cancel", () => {
  const world = new World();
  world.submit("a");
  world.say({ type: "AttemptStalled", jobId: "job-a", attempt: 1 });
  assert.deepEqual(types(world.cancel("a")), ["CloseGate", "EndTask"]);
  world.end("a", aborted);
  assert.equal(world.of("EndTask").length, 1);
  assert.equal(world.attempts("a").length, 1);
});

test("an attempt that was told to stop by a cancel is not told again when its replica goes", () => {
  const world = new World();
  world.submit("a");
  world.cancel("a");
  assert.deepEqual(only(world.replica("p", "r0", { status: "failed" }), "AbortAttempt"), []);
});

test("a task that finishes while its cancel is on the way to the engine stays cancelled", () => {
  const world = new World();
  world.submit("a");
  world.cancel("a");
  assert.deepEqual(types(world.end("a")), []);
  assert.equal(world.outcome("a")?.kind, "canceled");
});

test("a cancelled task pays for what was delivered, and gives the rest back with its slot", () => {
  const session = { ...noSettings.session, budgets: { tokens: 100, timeMs: 10_000_000 } };
  const world = new World({ settings: settings({ session }) });
  world.submit("a", { sessionId: "s", maxTokens: 40 });
  const left = () => world.orchestrator.session("default", "s").tokens_budget_remaining;
  world.cancel("a");
  assert.equal(left(), 60);
  world.end("a", { ...aborted, tokensOut: 15, frames: 15, decodeMs: 700 });
  assert.equal(left(), 85);
  assert.equal(world.orchestrator.session("default", "s").time_budget_remaining_ms, 10_000_000 - 700);
});

test("whenever it is cancelled, a task has one outcome, its gate closes once and it never runs again [OC-CORE-1005]", () => {
  const step = fc.constantFrom("cancel", "end", "lose", "stall", "replica", "pass");
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const world = new World();
      world.submit("a");
      world.submit("b");
      let canceled = false;
      for (const what of [...steps, "cancel", "end"]) {
        const effects = act(world, what);
        const again = only(effects, "DispatchAttempt").some(({ jobId }) => jobId === "job-a");
        assert.ok(!(canceled && again));
        canceled ||= what === "cancel";
      }
      const ends = world.of("EndTask").filter(({ jobId }) => jobId === "job-a");
      assert.equal(ends.length, 1);
      const gates = world.of("CloseGate").filter(({ jobId }) => jobId === "job-a");
      assert.equal(gates.length, ends[0]?.outcome.kind === "canceled" ? 1 : 0);
    }),
  );
});

function act(world: World, what: string) {
  switch (what) {
    case "cancel":
      return world.cancel("a");
    case "end":
      return world.end("a");
    case "lose":
      return world.lose("a", { frames: 1 });
    case "stall":
      return world.say({ type: "AttemptStalled", jobId: "job-a", attempt: world.attempts("a").length });
    case "replica":
      return world.replica("p", "r0", { epoch: (world.of("Note").length % 3) + 1 });
    default:
      return world.pass(1000);
  }
}
