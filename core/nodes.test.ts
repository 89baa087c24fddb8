import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, pool, settings, World } from "./fixtures/world.ts";

const aborted = { ending: { kind: "aborted" } } as const;

/** Each node with one pool of one replica; all in one set. */
function cloud(...names: string[]): World {
  const pools = names.map((name) => pool({ id: `pool-${name}` }));
  const nodes = { enabled: true, timeoutMs: 30_000 };
  const world = new World({ settings: settings({ pools, nodes }), ready: false });
  for (const name of names) {
    register(world, name);
    world.replica(`pool-${name}`, "r0", { facts: facts({ nodeId: name }) });
  }
  return world;
}

const register = (world: World, nodeId: string) =>
  world.say({ type: "NodeRegistered", nodeId, address: `http://${nodeId}` });
const heard = (world: World, nodeId: string) => world.say({ type: "NodeHeard", nodeId });
const labels = (world: World, about: string) =>
  world
    .of("Note")
    .filter((note) => note.about === about)
    .map(({ label }) => label);
const ran = (world: World, taskId: string) => world.attempts(taskId).map(({ nodeId }) => nodeId);

test("a node that goes on being heard stays online", () => {
  const world = cloud("n");
  for (let i = 0; i < 10; i++) {
    world.pass(29_999);
    heard(world, "n");
  }
  assert.deepEqual(labels(world, "node-offline"), []);
  assert.deepEqual(labels(world, "node-online"), ["n"]);
});

test("a node that was silent for its timeout is offline: what it ran is lost and goes on elsewhere", () => {
  const world = cloud("n", "o");
  world.submit("a");
  const [first] = ran(world, "a");
  const [other] = ["n", "o"].filter((name) => name !== first);
  world.pass(29_999);
  heard(world, other ?? "");
  const effects = world.pass(1);
  assert.deepEqual(labels(world, "node-offline"), [first]);
  assert.deepEqual(only(effects, "AbortAttempt"), [
    { type: "AbortAttempt", jobId: "job-a", attempt: 1, reason: "node" },
  ]);
  world.end("a", { ...aborted, frames: 1 });
  assert.deepEqual(ran(world, "a"), [first, other]);
  world.submit("b");
  assert.deepEqual(ran(world, "b"), []);
});

test("an offline node takes no work until it is heard again, and then at once", () => {
  const world = cloud("n");
  world.submit("a");
  world.submit("waits");
  world.pass(30_000);
  world.end("a", aborted);
  assert.deepEqual(ran(world, "a"), ["n"]);
  assert.equal(only(world.submit("b"), "RefuseTask")[0]?.code, "POOL_UNAVAILABLE");
  heard(world, "n");
  assert.deepEqual(labels(world, "node-online"), ["n", "n"]);
  assert.deepEqual(ran(world, "a"), ["n", "n"]);
  world.pass(30_000);
  assert.deepEqual(labels(world, "node-offline"), ["n", "n"]);
});

test("what was lost with its node goes to a node of another set, if nothing of it was delivered", () => {
  for (const frames of [0, 1]) {
    const world = cloud("n", "o");
    world.replica("pool-o", "r0", { status: "stopped", facts: facts({ nodeId: "o" }) });
    world.submit("a");
    world.replica("pool-o", "r0", { facts: facts({ nodeId: "o", computeFingerprint: "other" }) });
    world.pass(29_999);
    heard(world, "o");
    world.pass(1);
    world.end("a", { ...aborted, frames });
    assert.deepEqual(ran(world, "a"), frames === 0 ? ["n", "o"] : ["n"]);
    heard(world, "n");
    assert.deepEqual(ran(world, "a"), frames === 0 ? ["n", "o"] : ["n", "n"]);
  }
});

test("a node that deregisters leaves at once, with its timer", () => {
  const world = cloud("n");
  world.submit("a");
  const effects = world.say({ type: "NodeDeregistered", nodeId: "n" });
  assert.deepEqual(only(effects, "ClearTimer"), [{ type: "ClearTimer", timer: "node n" }]);
  assert.equal(only(effects, "AbortAttempt")[0]?.reason, "node");
  assert.deepEqual(labels(world, "node-offline"), ["n"]);
  assert.equal(world.orchestrator.state.nodes.size, 0);
  assert.deepEqual(world.say({ type: "NodeDeregistered", nodeId: "n" }), []);
  assert.deepEqual(heard(world, "n"), []);
  assert.equal(only(world.submit("b"), "RefuseTask").length, 1);
});

test("a node that registers again is known by its new address", () => {
  const world = cloud("n");
  world.say({ type: "NodeRegistered", nodeId: "n", address: "http://elsewhere", zone: "z" });
  const node = world.orchestrator.state.nodes.get("n");
  assert.deepEqual([node?.address, node?.zone, node?.online], ["http://elsewhere", "z", true]);
});

test("a replica of a node that never registered takes no work", () => {
  const world = cloud("n");
  world.say({ type: "NodeDeregistered", nodeId: "n" });
  world.replica("pool-n", "r0", { facts: facts({ nodeId: "stranger" }) });
  assert.equal(only(world.submit("a"), "RefuseTask")[0]?.code, "POOL_UNAVAILABLE");
});

test("without nodes everything is on this machine and nobody goes offline", () => {
  const world = new World({ ready: false });
  world.replica("p", "r0", { facts: facts({ nodeId: "somewhere" }) });
  assert.equal(only(world.submit("a"), "DispatchAttempt").length, 1);
});

test("with two nodes and two models each request goes to the node that serves its model, and nowhere else [CLOUD-12]", () => {
  const models = { n: "one", o: "two" };
  const pools = Object.entries(models).map(([node, modelRef]) => pool({ id: `pool-${node}`, modelRef }));
  const nodes = { enabled: true, timeoutMs: 30_000 };
  const world = new World({ settings: settings({ pools, nodes }), ready: false });
  for (const [node, modelRef] of Object.entries(models)) {
    register(world, node);
    const served = { nodeId: node, modelDigest: `sha256:${modelRef}` };
    world.replica(`pool-${node}`, "r0", { facts: facts({ ...served, vramFreeBytes: node === "n" ? 9 : 0 }) });
  }
  for (const [node, modelRef] of Object.entries(models)) {
    for (const i of [1, 2, 3]) world.submit(`${modelRef} ${i}`, { modelRef });
    for (const i of [1, 2, 3]) {
      assert.deepEqual(ran(world, `${modelRef} ${i}`), [node]);
      world.end(`${modelRef} ${i}`);
    }
  }
  assert.equal(only(world.submit("x", { modelRef: "three" }), "RefuseTask")[0]?.code, "POOL_UNAVAILABLE");
  world.say({ type: "NodeDeregistered", nodeId: "n" });
  assert.equal(only(world.submit("y", { modelRef: "one" }), "RefuseTask").length, 1);
  world.submit("z", { modelRef: "two" });
  assert.deepEqual(ran(world, "z"), ["o"]);
});

test("a dispatch names node, pool, replica and process; the address is the one its node registered last [CLOUD-19]", () => {
  const world = cloud("n");
  world.replica("pool-n", "r0", { epoch: 7, facts: facts({ nodeId: "n" }) });
  world.say({ type: "NodeRegistered", nodeId: "n", address: "http://moved" });
  const [sent] = only(world.submit("a"), "DispatchAttempt");
  assert.ok(sent !== undefined);
  const { nodeId, poolId, replicaId, epoch } = sent;
  assert.deepEqual(
    { nodeId, poolId, replicaId, epoch },
    { nodeId: "n", poolId: "pool-n", replicaId: "r0", epoch: 7 },
  );
  assert.ok(!JSON.stringify(sent).includes("http://"));
  assert.equal(world.orchestrator.state.nodes.get(nodeId ?? "")?.address, "http://moved");
  const [here] = only(new World().submit("b"), "DispatchAttempt");
  assert.deepEqual([here?.nodeId, here?.poolId, here?.replicaId], [null, "p", "r0"]);
});
