import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelState } from "@llama-orch/contract";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import { Orchestrator } from "../orchestrator.ts";
import { type ClassObjectives, noSettings } from "../settings.ts";
import { lateAllowed } from "./slo.ts";

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
  assert.equal(world.orchestrator.state.classes.get("interactive")?.firstTokens, 1);
});

test("5 of 100 may be late, 1 of 20, and none of fewer", () => {
  assert.deepEqual([100, 99, 21, 20, 19, 1, 0].map(lateAllowed), [5, 4, 1, 1, 0, 0, 0]);
  for (const late of [1, 2]) {
    const world = watched();
    for (let i = 0; i < slo.windows; i++) {
      for (let j = 0; j < 20; j++) serve(world, j < late ? 200 : 1);
      world.pass(slo.windowMs);
    }
    assert.equal(refusals(world, "next").length, late - 1);
  }
});

test("a share of errors that is just allowed sheds nothing, one more does", () => {
  for (const bad of [1, 2]) {
    const classes = { interactive: { errorRate: 0.1 } };
    const world = new World({ settings: settings({ slo: { ...slo, classes } }) });
    for (let i = 0; i < slo.windows; i++) {
      for (let j = 0; j < 10; j++) fail(world, j < bad);
      world.pass(slo.windowMs);
    }
    assert.equal(refusals(world, "next").length, bad - 1);
  }
});

/** One task that fails, or does not. */
function fail(world: World, failed: boolean, modelRef = "m"): void {
  const id = `t${names++}`;
  world.submit(id, { modelRef, override: true });
  world.end(id, failed ? { ending: { kind: "refused", code: "INTERNAL", message: "no" } } : {});
}

/** Models `old` and `m`, each with a pool of its own; `old` has become deprecated under such objectives. */
function aged(classes: ClassObjectives): World {
  const pools = [pool(), pool({ id: "q", modelRef: "old" })];
  const world = new World({ settings: settings({ pools, slo: { ...slo, classes } }), slots: 4 });
  world.replica("q", "r0", { facts: facts({ slotsTotal: 4, modelDigest: "sha256:old" }) });
  life(world, "Active");
  life(world, "Deprecated");
  return world;
}

const life = (world: World, state: ModelState) =>
  world.say({ type: "ModelChanged", modelRef: "old", digest: null, state });

const configure = (world: World, classes: ClassObjectives) => {
  const { pools } = world.orchestrator.state.settings;
  return world.say({ type: "Configured", settings: settings({ pools, slo: { ...slo, classes } }) });
};

/** Whether the class is shed after windows in which tasks of a model were so long without a token. */
function shedsAfter(world: World, modelRef: string, firstTokenMs: number): boolean {
  for (let i = 0; i < slo.windows; i++) {
    for (let j = 0; j < 3; j++) {
      const id = `t${names++}`;
      world.submit(id, { modelRef, override: true });
      world.pass(firstTokenMs);
      world.say({ type: "FirstToken", jobId: `job-${id}`, attempt: 1, cachedTokens: 0 });
      world.end(id);
    }
    world.pass(slo.windowMs);
  }
  return refusals(world, `t${names++}`).length > 0;
}

const warned = (world: World) =>
  world.of("Note").flatMap(({ about, label }) => (about === "slo-frozen" ? [label] : []));

test("objectives tightened after a model's deprecation are told and ignored for it; they hold for others [ORCH-3071]", () => {
  const then = { interactive: { firstTokenP95Ms: 100, errorRate: 0.5 } };
  const tight = { interactive: { firstTokenP95Ms: 50, errorRate: 0.1 } };
  for (const [modelRef, firstTokenMs, sheds] of [
    ["old", 80, false],
    ["old", 120, true],
    ["m", 80, true],
    ["m", 40, false],
  ] as const) {
    const world = aged(then);
    configure(world, tight);
    assert.deepEqual(warned(world), ["old"]);
    assert.equal(shedsAfter(world, modelRef, firstTokenMs), sheds, `${modelRef} ${firstTokenMs}`);
  }
  for (const [modelRef, sheds] of [
    ["old", 0],
    ["m", 1],
  ] as const) {
    const world = aged(then);
    configure(world, tight);
    for (let i = 0; i < slo.windows; i++) {
      for (let j = 0; j < 6; j++) fail(world, j < 3, modelRef);
      world.pass(slo.windowMs);
    }
    assert.equal(refusals(world, "next").length, sheds, modelRef);
  }
  const looser = aged(then);
  configure(looser, { interactive: { firstTokenP95Ms: 200 } });
  assert.deepEqual(warned(looser), []);
  assert.equal(shedsAfter(looser, "old", 150), false);
  assert.equal(shedsAfter(looser, "old", 250), true);
});

test("an objective that is new since a model's deprecation does not hold for it [ORCH-3071]", () => {
  const world = aged({});
  configure(world, { interactive: { firstTokenP95Ms: 50 } });
  assert.deepEqual(warned(world), ["old"]);
  assert.equal(shedsAfter(world, "old", 500), false);
  assert.equal(shedsAfter(world, "m", 500), true);
});

test("what a canary took is held to the canary's frozen objectives, not to its model's", () => {
  const pools = [pool({ canary: { modelRef: "old", percent: 100 } }), pool({ id: "q", modelRef: "old" })];
  const within = (firstTokenP95Ms: number) => {
    const classes = { interactive: { firstTokenP95Ms } };
    return settings({ pools, slo: { ...slo, windows: 1, classes } });
  };
  for (const [before, sheds] of [
    ["Deprecated", 0],
    ["Active", 1],
  ] as const) {
    const world = new World({ settings: within(100) });
    world.replica("q", "r0", { facts: facts({ slotsTotal: 4, modelDigest: "sha256:old" }) });
    for (const id of ["a", "b"]) world.submit(id);
    assert.equal(world.attempts("b")[0]?.poolId, "q");
    life(world, before);
    world.say({ type: "Configured", settings: within(50) });
    world.pass(80);
    for (const id of ["a", "b"]) {
      world.say({ type: "FirstToken", jobId: `job-${id}`, attempt: 1, cachedTokens: 0 });
      world.end(id);
    }
    world.pass(slo.windowMs);
    assert.equal(refusals(world, "next").length, sheds, before);
  }
});

test("only what is newly tightened is told, once, and only while a model is frozen", () => {
  const world = aged({ interactive: { firstTokenP95Ms: 100 } });
  const within = (firstTokenP95Ms: number) => configure(world, { interactive: { firstTokenP95Ms } });
  within(200);
  within(150);
  assert.deepEqual(warned(world), [], "it still asks for less than it did");
  within(50);
  within(50);
  within(70);
  assert.deepEqual(warned(world), ["old"]);
  life(world, "Retired");
  within(60);
  assert.deepEqual(warned(world), ["old", "old"]);
  life(world, "Active");
  within(20);
  assert.deepEqual(warned(world), ["old", "old"]);
});

test("what a model was deprecated with outlives a restart, and ends when it is active again", () => {
  const world = aged({ interactive: { firstTokenP95Ms: 100 } });
  configure(world, { interactive: { firstTokenP95Ms: 50 } });
  const snapshot = JSON.parse(JSON.stringify(world.orchestrator.snapshot()));
  world.orchestrator = Orchestrator.restore(snapshot);
  life(world, "Deprecated");
  assert.equal(shedsAfter(world, "old", 80), false);
  life(world, "Active");
  assert.equal(shedsAfter(world, "old", 80), true);
});
