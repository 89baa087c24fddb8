import assert from "node:assert/strict";
import { test } from "node:test";
import { only, settings, World } from "../fixtures/world.ts";
import { noSettings } from "../settings.ts";
import { p95 } from "./slo.ts";

const slo = {
  ...noSettings.slo,
  samplesMin: 2,
  classes: { interactive: { firstTokenP95Ms: 100, errorRate: 0.5 } },
};

function watched(): World {
  return new World({ settings: settings({ slo }), slots: 4 });
}

let names = 0;

/** One task whose first token takes so long. */
function serve(world: World, firstTokenMs: number, id = `t${names++}`): string {
  world.submit(id);
  world.pass(firstTokenMs);
  world.say({ type: "FirstToken", jobId: `job-${id}`, attempt: 1, cachedTokens: 0 });
  world.end(id);
  return id;
}

/** A window in which each first token takes so long; it begins with the first of them. */
function window(world: World, firstTokenMs: number): void {
  const endsAtMs = world.nowMs + firstTokenMs + slo.windowMs;
  for (let i = 0; i < 3; i++) serve(world, firstTokenMs);
  world.pass(endsAtMs - world.nowMs);
}

const refusals = (world: World, id: string) => only(world.submit(id), "RefuseTask");

function shedNow(): World {
  const world = watched();
  for (let i = 0; i < 3; i++) window(world, 200);
  assert.equal(refusals(world, "shed").length, 1);
  return world;
}

test("a class that misses its objective in three windows in a row takes no new work, another class does [ORCH-3040]", () => {
  const world = watched();
  window(world, 200);
  window(world, 200);
  assert.equal(refusals(world, "fine").length, 0);
  world.end("fine");
  window(world, 200);
  const [refused] = refusals(world, "shed");
  assert.equal(refused?.code, "ADMISSION_REJECT");
  assert.equal(refused?.details.policy_label, "circuit-open");
  assert.equal(refused?.details.retry_after_ms, slo.openMs);
  assert.deepEqual(only(world.effects, "Note").at(-1), {
    type: "Note",
    about: "class-shed",
    label: "interactive",
  });
  assert.equal(only(world.batch("other"), "AcceptTask").length, 1);
});

test("errors count as well as late first tokens [ORCH-3040]", () => {
  const world = watched();
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 2; j++) {
      const id = `bad${i}${j}`;
      world.submit(id);
      world.end(id, { ending: { kind: "refused", code: "INTERNAL", message: "no" } });
    }
    world.pass(slo.windowMs);
  }
  assert.equal(refusals(world, "shed").length, 1);
});

test("a good window, an empty one or one with too few samples ends the row", () => {
  for (const between of [
    (world: World) => window(world, 50),
    (world: World) => world.pass(slo.windowMs),
    (world: World) => {
      serve(world, 200);
      world.pass(slo.windowMs);
    },
  ]) {
    const world = watched();
    window(world, 200);
    window(world, 200);
    between(world);
    window(world, 200);
    window(world, 200);
    assert.equal(refusals(world, "fine").length, 0);
    assert.deepEqual(only(world.effects, "Note"), []);
  }
});

test("after a while one task may try, and a good one brings the class back [ORCH-3040]", () => {
  const world = shedNow();
  world.pass(slo.openMs);
  assert.equal(only(world.submit("probe"), "AcceptTask").length, 1);
  assert.equal(refusals(world, "second").length, 1);
  world.say({ type: "FirstToken", jobId: "job-probe", attempt: 1, cachedTokens: 0 });
  world.end("probe");
  assert.ok(world.of("Note").some(({ about }) => about === "class-restored"));
  assert.equal(refusals(world, "third").length, 0);
});

test("a probe that is late or fails sheds the class again for as long", () => {
  for (const bad of [
    (world: World) => {
      world.pass(200);
      world.say({ type: "FirstToken", jobId: "job-probe", attempt: 1, cachedTokens: 0 });
      world.end("probe");
    },
    (world: World) => world.end("probe", { ending: { kind: "refused", code: "INTERNAL", message: "no" } }),
  ]) {
    const world = shedNow();
    world.pass(slo.openMs);
    world.submit("probe");
    bad(world);
    world.pass(slo.openMs - 201);
    assert.equal(refusals(world, "shed-again").length, 1);
    world.pass(201);
    assert.equal(refusals(world, "second-probe").length, 0);
  }
});

test("a probe that is cancelled decides nothing: the next one may try", () => {
  const world = shedNow();
  world.pass(slo.openMs);
  world.submit("probe");
  world.cancel("probe");
  assert.equal(refusals(world, "next").length, 0);
  assert.equal(refusals(world, "third").length, 1);
});

test("a class whose objectives are taken away by the configuration takes work again", () => {
  const world = shedNow();
  world.pass(slo.openMs);
  world.submit("probe");
  world.say({ type: "Configured", settings: settings({ slo: { ...slo, classes: {} } }) });
  world.end("probe");
  assert.equal(refusals(world, "fine").length, 0);
});

test("a task of a time without objectives is not what a class is tried by when they are back", () => {
  const world = shedNow();
  world.pass(slo.openMs);
  world.say({ type: "Configured", settings: settings({ slo: { ...slo, classes: {} } }) });
  world.submit("between");
  world.end("between");
  world.say({ type: "Configured", settings: settings({ slo }) });
  for (const id of ["first", "second"]) assert.equal(refusals(world, id).length, 0);
});

test("a first token is late by the time since admission: the queue is what shedding relieves [ORCH-3040]", () => {
  const world = new World({ settings: settings({ slo }) });
  const serveNext = (id: string) => {
    world.say({ type: "FirstToken", jobId: `job-${id}`, attempt: 1, cachedTokens: 0 });
    world.pass(150);
    world.end(id);
  };
  for (let i = 0; i < slo.windows; i++) {
    const ids = [`a${i}`, `b${i}`, `c${i}`];
    for (const id of ids) world.submit(id);
    for (const id of ids) serveNext(id);
    world.pass(slo.windowMs - 450);
  }
  assert.equal(refusals(world, "shed").length, 1);
});

test("a task shows one first token, however often it is tried", () => {
  const world = watched();
  const firstToken = (attempt: number) =>
    world.say({ type: "FirstToken", jobId: "job-a", attempt, cachedTokens: 0 });
  world.submit("a");
  world.lose("a");
  firstToken(2);
  world.lose("a", { ending: { kind: "lost", reason: "preempted", message: "" }, frames: 1 });
  firstToken(3);
  assert.equal(world.attempts("a").length, 3);
  assert.equal(world.orchestrator.state.classes.get("interactive")?.firstTokenMs.length, 1);
});

test("95 of 100 is the 95th of 100 in order", () => {
  assert.equal(p95(Array.from({ length: 100 }, (_, i) => 100 - i)), 95);
  assert.equal(p95([7]), 7);
  assert.equal(p95([]), 0);
});
