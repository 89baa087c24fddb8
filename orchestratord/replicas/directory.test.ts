import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ReplicaAnnouncement } from "@llama-orch/contract";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { TinyAdapter } from "../fixtures/tiny-adapter.ts";
import type { Happening } from "../loop.ts";
import { Directory } from "./directory.ts";
import type { VersionRule } from "./engine-version.ts";

type Reported = Extract<Happening, { readonly type: "ReplicaReported" }>;

function open(isMute = false, versions?: VersionRule) {
  const clock = new FakeClock();
  const adapters: TinyAdapter[] = [];
  const reports: Reported[] = [];
  /** What engines run that are bound from now on. */
  const installed = { version: "tiny-1" };
  const directory = new Directory({
    bind: ({ engine }) => {
      if (engine !== "llamacpp") throw new Error(`Nobody speaks ${engine}.`);
      const adapter = new TinyAdapter();
      turnTo(adapter, installed.version);
      if (isMute) adapter.facts = undefined;
      adapters.push(adapter);
      return adapter;
    },
    post: (happening) => reports.push(happening as Reported),
    clock,
    pollMs: 1000,
    expected: () => ({ ctxMax: 99, slotsTotal: 9, ...(versions !== undefined && { versions }) }),
  });
  return { clock, adapters, reports, installed, directory };
}

/** Says of which version the engine of an adapter is from now on. */
function turnTo(adapter: TinyAdapter | undefined, engineVersion: string): void {
  assert.ok(adapter?.facts);
  adapter.facts = { ...adapter.facts, engineVersion };
}

const announced = (more: Partial<ReplicaAnnouncement> = {}): ReplicaAnnouncement => ({
  poolId: "p",
  replicaId: "r0",
  engine: "llamacpp",
  phase: "ready",
  epoch: 1,
  url: "http://127.0.0.1:1",
  ...more,
});

test("a replica that is not ready is reported as it is configured, and is nowhere to be found", () => {
  const { directory, reports } = open();
  directory.announce(announced({ phase: "loading", readyInMs: 700 }));
  const [report] = reports;
  assert.equal(report?.status, "loading");
  assert.equal(report?.readyInMs, 700);
  assert.equal(report?.facts.ctxMax, 99);
  assert.equal(report?.facts.slotsTotal, 9);
  assert.equal(report?.facts.engineVersion, null);
  assert.equal(directory.find("p", "r0", 1), undefined);
});

test("a ready replica is asked what it is before anybody hears of it", async () => {
  const { directory, reports } = open();
  directory.announce(announced());
  assert.equal(reports.length, 0);
  await turn();
  assert.equal(reports[0]?.facts.engineVersion, "tiny-1");
  assert.equal(reports[0]?.facts.slotsTotal, 2);
  assert.equal(directory.find("p", "r0", 1)?.props.ctxMax, 512);
  assert.equal(directory.find("p", "r0", 2), undefined);
  assert.equal(directory.find("p", "r1", 1), undefined);
});

test("of an engine's slots no more are used than are configured", async () => {
  const { directory, reports, adapters, clock } = open();
  directory.announce(announced());
  (adapters[0] as TinyAdapter).facts = { engineVersion: "2", slotsTotal: 64, ctxMax: 1, features: [] };
  clock.advance(1000);
  await turn();
  clock.advance(1000);
  await turn();
  assert.deepEqual(
    reports.map(({ facts }) => facts.slotsTotal),
    [2, 9],
  );
});

test("one that cannot say what it is is asked again soon, one that can is asked again and again", async () => {
  const { directory, reports, adapters, clock } = open(true);
  directory.announce(announced());
  await turn();
  assert.equal(reports.length, 0);
  (adapters[0] as TinyAdapter).facts = { engineVersion: "2", slotsTotal: 1, ctxMax: 1, features: [] };
  clock.advance(250);
  await turn();
  assert.equal(reports.length, 1);
  clock.advance(1000);
  await turn();
  assert.equal(reports.length, 2);
  assert.equal(adapters.length, 1);
});

test("one that does not say what it is is reported as failed with the reason, until it says it", async () => {
  const { directory, reports, adapters, clock } = open(true);
  directory.announce(announced());
  await turn();
  const before = directory.version;
  for (let misses = 1; misses < 4; misses += 1) {
    clock.advance(250 * 2 ** (misses - 1));
    await turn();
  }
  const { status, lastError } = reports.at(-1) as Reported;
  assert.equal(status, "failed");
  assert.match(String(lastError), /^Replica r0 is ready, but its engine does not say .*: It is gone\. It is/);
  assert.deepEqual(new Set(reports.map((report) => JSON.stringify(report))).size, 1);
  assert.equal(directory.version, before + 1);
  assert.equal(directory.find("p", "r0", 1), undefined);
  turnTo(Object.assign(adapters[0] as TinyAdapter, { facts: new TinyAdapter().facts }), "tiny-1");
  clock.advance(2000);
  await turn();
  assert.equal(reports.at(-1)?.status, "ready");
  assert.equal(reports.at(-1)?.lastError, undefined);
  assert.ok(directory.find("p", "r0", 1));
});

test("one that does not say what it is is asked ever more rarely, and soon again once it has said it", async () => {
  const { directory, adapters, clock } = open(true);
  directory.announce(announced());
  await turn();
  const [adapter] = adapters as [TinyAdapter];
  const askedIn = async (ms: number) => {
    const before = adapter.asked;
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250);
      await turn();
    }
    return adapter.asked - before;
  };
  // After 250, 500, 1000, 2000, 4000 and 8000 ms, and then every 10 s.
  assert.equal(await askedIn(15_750), 6);
  assert.equal(await askedIn(60_000), 6);
  adapter.facts = new TinyAdapter().facts;
  assert.equal(await askedIn(10_000), 1);
  adapter.facts = undefined;
  assert.equal(await askedIn(1_750), 3);
});

test("one that serves and misses answers goes on serving: its end is for those who watch it to tell", async () => {
  const { directory, reports, adapters, clock } = open();
  directory.announce(announced());
  await turn();
  (adapters[0] as TinyAdapter).facts = undefined;
  for (let misses = 0; misses < 6; misses += 1) {
    clock.advance(10_000);
    await turn();
  }
  assert.ok(directory.find("p", "r0", 1));
  assert.deepEqual(
    reports.map(({ status }) => status),
    ["ready"],
  );
});

test("the version grows when what is known changes, and only then", async () => {
  const { directory, adapters, clock } = open();
  directory.announce(announced());
  await turn();
  const before = directory.version;
  clock.advance(1000);
  await turn();
  assert.equal(directory.version, before);
  (adapters[0] as TinyAdapter).facts = { engineVersion: "2", slotsTotal: 1, ctxMax: 1, features: [] };
  clock.advance(1000);
  await turn();
  assert.equal(directory.version, before + 1);
});

test("a new process has a new adapter, and what is said of an older one is not heard any more", async () => {
  const { directory, reports, adapters } = open();
  directory.announce(announced({ epoch: 2 }));
  await turn();
  directory.announce(announced({ epoch: 1, phase: "failed" }));
  assert.equal(reports.length, 1);
  assert.ok(directory.find("p", "r0", 2));
  directory.announce(announced({ epoch: 3 }));
  await turn();
  assert.equal(adapters.length, 2);
  assert.equal(adapters[0]?.isClosed, true);
  assert.equal(directory.find("p", "r0", 2), undefined);
  assert.equal(directory.find("p", "r0", 3)?.adapter, adapters[1]);
});

test("a process that changes its phase keeps its adapter, and while it is away nobody finds it", async () => {
  const { directory, reports, adapters } = open();
  directory.announce(announced());
  await turn();
  directory.announce(announced({ phase: "draining" }));
  assert.equal(directory.find("p", "r0", 1), undefined);
  assert.equal(reports.at(-1)?.status, "draining");
  assert.equal(reports.at(-1)?.facts.engineVersion, "tiny-1");
  directory.announce(announced());
  await turn();
  assert.equal(adapters.length, 1);
  assert.ok(directory.find("p", "r0", 1));
});

test("a wrong announcement takes its own replica out, and says why", async () => {
  const { directory, reports } = open();
  const { url: _url, ...nowhere } = announced({ replicaId: "nowhere" });
  directory.announce(nowhere);
  directory.announce(announced({ replicaId: "strange", engine: "triton" }));
  directory.announce(announced());
  await turn();
  const told = reports.map(({ replicaId, status, lastError }) => [replicaId, status, lastError]);
  assert.deepEqual(told, [
    ["nowhere", "failed", "Replica nowhere was announced as ready without its url."],
    ["strange", "failed", "Nobody speaks triton."],
    ["r0", "ready", undefined],
  ]);
  assert.equal(directory.find("p", "strange", 1), undefined);
});

test("an engine that cannot tell how it computes is like no other", async () => {
  const { directory, reports } = open();
  directory.announce(announced());
  directory.announce(announced({ replicaId: "r1" }));
  await turn();
  const [one, other] = reports.map(({ facts }) => facts.computeFingerprint);
  assert.notEqual(one, other);
});

test("a replica of another engine version than the pool's others is refused until they are gone", async () => {
  const { directory, reports, installed, clock } = open(false, { isOne: true });
  directory.announce(announced());
  directory.announce(announced({ replicaId: "same" }));
  await turn();
  installed.version = "tiny-2";
  directory.announce(announced({ replicaId: "other" }));
  await turn();
  const { status, lastError, facts } = reports.at(-1) as Reported;
  assert.equal(status, "failed");
  assert.match(String(lastError), /^VERSION_MISMATCH: Replica other runs .* tiny-2, but pool p runs tiny-1/);
  assert.equal(facts.engineVersion, "tiny-2");
  assert.equal(directory.find("p", "other", 1), undefined);
  directory.announce(announced({ poolId: "q", replicaId: "other" }));
  await turn();
  assert.equal(directory.find("q", "other", 1)?.props.engineVersion, "tiny-2");

  directory.announce(announced({ phase: "draining" }));
  clock.advance(1000);
  await turn();
  assert.equal(directory.find("p", "other", 1), undefined);
  directory.announce(announced({ replicaId: "same", phase: "stopped" }));
  const before = directory.version;
  clock.advance(1000);
  await turn();
  assert.equal(reports.filter(({ replicaId }) => replicaId === "other").at(-1)?.status, "ready");
  assert.ok(directory.find("p", "other", 1));
  assert.equal(directory.version, before + 1);
});

test("what an older process ran says nothing about the version of its pool", async () => {
  const { directory, installed } = open(false, { isOne: true });
  directory.announce(announced());
  await turn();
  installed.version = "tiny-2";
  // The one that answers first finds the other as a new process that has not answered.
  directory.announce(announced({ replicaId: "r1" }));
  directory.announce(announced({ epoch: 2 }));
  await turn();
  assert.ok(directory.find("p", "r0", 2));
  assert.ok(directory.find("p", "r1", 1));
});

test("one that changes its version under way is refused like a new one, and taken when it is back", async () => {
  const { directory, adapters, clock } = open(false, { isOne: true });
  directory.announce(announced());
  await turn();
  for (const alone of ["tiny-2", "tiny-1"]) {
    turnTo(adapters[0], alone);
    clock.advance(1000);
    await turn();
    assert.equal(directory.find("p", "r0", 1)?.props.engineVersion, alone);
  }
  directory.announce(announced({ replicaId: "r1" }));
  await turn();
  for (const version of ["tiny-2", "tiny-1"]) {
    turnTo(adapters[1], version);
    clock.advance(1000);
    await turn();
    assert.equal(directory.find("p", "r1", 1) !== undefined, version === "tiny-1");
    assert.ok(directory.find("p", "r0", 1));
  }
});

test("a pool that does not insist takes any version, and a pinned one takes its own alone", async () => {
  for (const [rule, isTaken] of [
    [{ isOne: false }, true],
    [{ isOne: false, pinned: "tiny-2" }, true],
    [{ isOne: false, pinned: "tiny-3" }, false],
    [{ isOne: true, pinned: "tiny-2" }, true],
  ] as const) {
    const { directory, installed, reports } = open(false, rule);
    directory.announce(announced());
    installed.version = "tiny-2";
    directory.announce(announced({ replicaId: "r1" }));
    await turn();
    assert.equal(directory.find("p", "r1", 1) !== undefined, isTaken, JSON.stringify(rule));
    assert.equal(directory.find("p", "r0", 1) !== undefined, !("pinned" in rule), JSON.stringify(rule));
    if ("pinned" in rule)
      assert.match(String(reports[0]?.lastError), /^VERSION_MISMATCH: .* is pinned to tiny/);
  }
});

test("a directory that is closed has closed its adapters and waits for nothing", async () => {
  const { directory, adapters, clock, reports } = open();
  directory.announce(announced());
  await turn();
  await directory.close();
  await turn();
  assert.equal(adapters[0]?.isClosed, true);
  assert.equal(clock.timers, 0);
  directory.announce(announced({ epoch: 9 }));
  await turn();
  assert.equal(reports.length, 1);
});
