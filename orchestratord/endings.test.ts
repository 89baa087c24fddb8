import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Orchestrator } from "@llama-orch/core";
import { FileArtifacts } from "./artifacts/files.ts";
import type { Keeping } from "./artifacts/inventory.ts";
import { Endings } from "./endings.ts";
import { HeldStore } from "./fixtures/held-store.ts";
import { aRecord } from "./fixtures/records.ts";
import { admitted } from "./store/fixtures/facts.ts";
import { WatchedStore } from "./store/watched.ts";
import { type Stage, staged, startedFrame, TestSink, texts } from "./streaming/fixtures/stage.ts";
import { Tasks } from "./tasks.ts";

const plenty: Keeping = { transcriptsMs: 1000, transcriptsBytes: 1e6, uploadsBytes: 1e6 };

interface Disk {
  readonly keeping?: Keeping;
  readonly refusesAtFirst?: boolean;
}

/** A task that ends, on a disk for which the test speaks. */
async function ending({ clock, open }: Stage, { keeping = plenty, refusesAtFirst = false }: Disk) {
  const root = mkdtempSync(join(tmpdir(), "endings-"));
  const artifacts = await FileArtifacts.open({ root, keeping });
  const disk = new HeldStore({ nowMs: () => clock.nowMs(), keepEndedMs: 1e6, rememberMs: 1e6 });
  const store = new WatchedStore({ store: disk, clock, onFull: () => {} });
  const tasks = new Tasks(1000);
  const record = { ...aRecord(), stream: open() };
  tasks.add(record);
  await store.commit([admitted(record.jobId)]);
  const sink = new TestSink();
  record.stream.started(startedFrame);
  record.stream.follow(undefined, sink, { verbose: false });
  record.stream.tokens(texts("a", "b"));
  const troubles: string[] = [];
  const observer = { handled() {}, delivered() {}, trouble: (what: string) => void troubles.push(what) };
  const endings = new Endings({ core: new Orchestrator(1), clock, tasks, store, artifacts, observer });
  const { jobId, task, poolId } = record;
  disk.refuses = () => refusesAtFirst;
  endings.end({
    type: "EndTask",
    jobId,
    tenantId: task.tenantId,
    taskId: task.taskId,
    poolId,
    replicaId: "r0",
    attempts: 1,
    outcome: { kind: "done", tokensOut: 2, decodeMs: 1 },
    onTime: true,
    budget: { tokens: 0, timeMs: 0, cost: 0 },
  });
  await endings.idle();
  const close = async () => {
    await store.close();
    await artifacts.close();
    rmSync(root, { recursive: true });
  };
  return { clock, disk, store, record, sink, troubles, close };
}

test(
  "a transcript for which there can never be room is done without: its reader gets the ending",
  staged(async (stage) => {
    const { store, record, sink, troubles, close } = await ending(stage, {
      keeping: { ...plenty, transcriptsBytes: 10 },
    });
    assert.deepEqual(troubles, ["A transcript could not be kept."]);
    assert.match(sink.text, /event: end/);
    assert.equal(await record.ended, undefined);
    const kept = await store.transcript("default", "task");
    assert.deepEqual([kept?.outcome.kind, kept?.transcript], ["done", undefined]);
    await close();
  }),
);

test(
  "an outcome that the store refuses is told to nobody until it is kept, and then as if it had been at once",
  staged(async (stage) => {
    const { clock, disk, store, record, sink, troubles, close } = await ending(stage, {
      refusesAtFirst: true,
    });
    const told = () => /event: end/.test(sink.text);
    assert.equal((await record.ended)?.details.policy_label, "storage");
    assert.equal(store.isFull, true);
    disk.asked.length = 0;
    clock.advance(1000);
    await disk.until("ended");
    assert.equal(told(), false);
    disk.refuses = () => false;
    while (!told()) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(await record.ended, undefined);
    assert.deepEqual(troubles, []);
    assert.match(sink.text, new RegExp(`"transcript":"${record.transcript}"`));
    const kept = await store.transcript("default", "task");
    assert.deepEqual([kept?.transcript, kept?.atMs], [record.transcript, record.endedAtMs]);
    await close();
  }),
);

test(
  "what is still owed when the store closes is told to nobody",
  staged(async (stage) => {
    const { clock, disk, sink, close } = await ending(stage, { refusesAtFirst: true });
    await close();
    const asked = disk.asked.length;
    disk.refuses = () => false;
    clock.advance(10_000);
    assert.equal(disk.asked.length, asked);
    assert.ok(!/event: end/.test(sink.text));
  }),
);
