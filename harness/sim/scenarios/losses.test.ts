import assert from "node:assert/strict";
import { test } from "node:test";
import { noAilments, noFaults } from "../mix.ts";
import { Stage } from "./stage.ts";

const siblings = [{ replicaId: "r0" }, { replicaId: "r1" }];
const free = { pools: [{ determinism: "best_effort" as const }] };

test("an engine that dies mid-stream is replayed on its sibling and the client sees each byte once", () => {
  const stage = new Stage({ replicas: siblings });
  stage.submit("a");
  stage.pass(400);
  const before = [...stage.seen("a")];
  assert.ok(before.length > 0 && before.length < 30);
  stage.fail(`p0/${stage.running("a")?.replicaId}`);
  stage.pass(2000);
  assert.equal(stage.outcome("a"), "done");
  assert.equal(stage.attempts("a"), 2);
  assert.equal(stage.notes("replayed"), 1);
  assert.deepEqual(stage.seen("a"), stage.undisturbed("a"));
  assert.deepEqual(stage.seen("a").slice(0, before.length), before);
  stage.end();
});

test("a best-effort stream whose engine dies is continued from exactly what was delivered", () => {
  const stage = new Stage({ ...free, replicas: siblings.map((one) => ({ ...one, strict: false })) });
  stage.submit("a");
  stage.pass(400);
  const before = [...stage.seen("a")];
  assert.ok(before.length > 0);
  stage.fail(`p0/${stage.running("a")?.replicaId}`);
  stage.pass(2000);
  assert.equal(stage.outcome("a"), "done");
  assert.equal(stage.notes("continued"), 1);
  assert.deepEqual(stage.seen("a").slice(0, before.length), before);
  stage.end();
});

test("a best-effort stream that cannot be continued exactly ends with WORKER_RESET, not with other text", () => {
  const stage = new Stage({ ...free, replicas: siblings.map((one) => ({ ...one, strict: false })) });
  stage.submit("a", { seed: 16 });
  stage.pass(400);
  stage.fail(`p0/${stage.running("a")?.replicaId}`);
  stage.pass(1000);
  assert.equal(stage.outcome("a"), "WORKER_RESET");
  assert.equal(stage.attempts("a"), 1);
  stage.end();
});

test("a lost task that delivered nothing begins anew as if nothing had happened", () => {
  const stage = new Stage({ replicas: siblings });
  stage.submit("a", {}, { promptTokens: 400, promptBytes: 402 });
  stage.pass(50);
  assert.equal(stage.seen("a").length, 0);
  stage.fail(`p0/${stage.running("a")?.replicaId}`);
  stage.pass(3000);
  assert.equal(stage.outcome("a"), "done");
  assert.equal(stage.notes("replayed"), 0);
  stage.end();
});

test("a hung engine is noticed by silence, and its task goes on elsewhere", () => {
  const stage = new Stage({ replicas: siblings });
  stage.submit("a");
  stage.pass(300);
  stage.hang(`p0/${stage.running("a")?.replicaId}`, 60_000);
  stage.pass(45_000);
  assert.ok(stage.notes("lost by watchdog") > 0);
  assert.equal(stage.outcome("a"), "done");
  assert.deepEqual(stage.seen("a"), stage.undisturbed("a"));
  stage.end();
});

test("a task whose engine goes silent in every try ends with DECODE_TIMEOUT", () => {
  const stage = new Stage({
    pools: [{ breaker: { threshold: 99, openMs: 1, maxRestarts: 99, windowMs: 1 } }],
  });
  stage.submit("a");
  stage.pass(300);
  stage.hang("p0/r0", 60_000);
  stage.pass(50_000);
  assert.equal(stage.outcome("a"), "DECODE_TIMEOUT");
  stage.end();
});

test("a node that falls silent loses its attempts, which go on at once on another node", () => {
  const stage = new Stage({
    mix: { nodes: ["node-a", "node-bb"], heartbeatMs: 500 },
    replicas: [
      { replicaId: "r0", nodeId: "node-a" },
      { replicaId: "r1", nodeId: "node-bb" },
    ],
    settings: { nodes: { enabled: true, timeoutMs: 1500 } },
  });
  stage.submit("a", { maxTokens: 200 });
  stage.pass(500);
  const { nodeId, replicaId } = stage.running("a") ?? {};
  stage.node(nodeId as string).powerOff();
  stage.pass(10_000);
  assert.equal(stage.outcome("a"), "done");
  assert.notEqual(stage.ended("a")?.replicaId, replicaId);
  assert.deepEqual(stage.seen("a"), stage.undisturbed("a"));
  stage.end();
});

test("a partition that outlasts the heartbeats takes a node out of placement until it is heard again", () => {
  const stage = new Stage({
    mix: { nodes: ["node-a"], heartbeatMs: 500 },
    replicas: [{ nodeId: "node-a" }],
    settings: { nodes: { enabled: true, timeoutMs: 1500 } },
  });
  stage.node("node-a").link.split();
  stage.pass(2500);
  assert.equal(stage.notes("node-offline"), 1);
  stage.submit("a");
  assert.equal(stage.attempts("a"), 0);
  stage.node("node-a").link.heal();
  stage.pass(1500);
  assert.equal(stage.notes("node-online"), 2);
  stage.submit("b");
  assert.equal(stage.attempts("b"), 1);
  stage.end();
});

test("running out of GPU memory loses one attempt, and the process and its other slots go on", () => {
  const stage = new Stage({
    replicas: [{ slots: 2 }],
    mix: { faults: { ...noFaults, ailments: { ...noAilments, vramOom: 1 } } },
  });
  stage.submit("a");
  stage.pass(3000);
  assert.ok(stage.notes("lost by vram_oom") > 0);
  assert.equal(stage.post("p0/r0").epoch, 1);
  stage.end();
});

test("running out of main memory ends the process with all its attempts, and each of them goes on", () => {
  const stage = new Stage({ replicas: [{ slots: 2 }] });
  stage.submit("a");
  stage.submit("b", { seed: 5 });
  stage.pass(300);
  stage.fail("p0/r0", "host_oom");
  stage.pass(8000);
  assert.equal(stage.post("p0/r0").epoch, 2);
  for (const id of ["a", "b"]) {
    assert.equal(stage.outcome(id), "done");
    assert.deepEqual(stage.seen(id), stage.undisturbed(id));
  }
  stage.end();
});

test("a driver reset takes every pool of the device along, and the device that is not hit serves on", () => {
  const stage = new Stage({
    pools: [{}, { id: "p1" }, { id: "p2", deviceMask: "1", modelRef: "m2" }],
    replicas: [{}, { poolId: "p1" }, { poolId: "p2", modelDigest: `sha256:${"b".repeat(64)}` }],
  });
  stage.submit("a", { maxTokens: 200 });
  stage.submit("b", { maxTokens: 200, seed: 3 });
  stage.submit("c", { maxTokens: 200, seed: 4, modelRef: "m2" });
  stage.pass(300);
  stage.fail("p0/r0", "driver_reset");
  stage.pass(400);
  assert.ok(stage.notes("driver-reset") > 0);
  assert.equal(stage.attempts("c"), 1);
  stage.pass(30_000);
  for (const id of ["a", "b", "c"]) assert.equal(stage.outcome(id), "done");
  assert.equal(stage.attempts("c"), 1);
  stage.end();
});

test("a strict task whose set comes back with another engine build ends with WORKER_RESET, never with mixed text", () => {
  const stage = new Stage();
  stage.submit("a");
  stage.pass(400);
  const before = [...stage.seen("a")];
  assert.ok(before.length > 0);
  stage.post("p0/r0").engineVersion = "b2";
  stage.fail("p0/r0");
  stage.pass(8000);
  assert.equal(stage.outcome("a"), "WORKER_RESET");
  assert.deepEqual(stage.seen("a"), before);
  stage.end();
});

test("a strict task that delivered nothing yet may run on the new build", () => {
  const stage = new Stage();
  stage.submit("a", {}, { promptTokens: 400, promptBytes: 402 });
  stage.pass(50);
  stage.post("p0/r0").engineVersion = "b2";
  stage.fail("p0/r0");
  stage.pass(8000);
  assert.equal(stage.outcome("a"), "done");
  stage.end();
});

test("a replay that gives other text is stopped at the first difference", () => {
  const stage = new Stage({ replicas: siblings });
  stage.submit("a");
  stage.pass(400);
  const before = [...stage.seen("a")];
  // The sibling claims to be the same and is not.
  const other = stage.running("a")?.replicaId === "r0" ? "p0/r1" : "p0/r0";
  const { engine } = stage.post(other);
  engine?.corrupt();
  stage.fail(`p0/${stage.running("a")?.replicaId}`);
  stage.pass(1000);
  assert.equal(stage.outcome("a"), "WORKER_RESET");
  assert.equal(stage.notes("replay-mismatch"), 1);
  assert.deepEqual(stage.seen("a"), before);
  stage.end();
});
