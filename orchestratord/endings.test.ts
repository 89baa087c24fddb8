import assert from "node:assert/strict";
import { test } from "node:test";
import { Orchestrator } from "@llama-orch/core";
import type { ArtifactPut } from "./artifacts/artifacts.ts";
import { MemoryArtifacts } from "./artifacts/memory.ts";
import { Endings } from "./endings.ts";
import { HeldStore } from "./fixtures/held-store.ts";
import { aRecord } from "./fixtures/records.ts";
import { admitted } from "./store/fixtures/facts.ts";
import { type Stage, staged, startedFrame, TestSink, texts } from "./streaming/fixtures/stage.ts";
import { Tasks } from "./tasks.ts";

const plenty = { transcriptsMs: 1000, transcriptsBytes: 1e6, uploadsBytes: 1e6 };

/** A disk that takes no document while it is full. */
class FullDisk extends MemoryArtifacts {
  isFull = true;

  override async put(put: ArtifactPut) {
    if (this.isFull) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    return super.put(put);
  }
}

async function ending({ clock, open }: Stage, makesRoom: boolean) {
  const artifacts = new FullDisk({ keeping: plenty });
  const store = new HeldStore({ nowMs: () => clock.nowMs(), keepEndedMs: 1000, rememberMs: 1000 });
  store.makeRoom = async () => {
    artifacts.isFull = !makesRoom;
  };
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
  return { store, record, sink, troubles };
}

test(
  "a transcript for which the disk has no room is kept in the room that is held for it",
  staged(async (stage) => {
    const { store, record, sink, troubles } = await ending(stage, true);
    assert.deepEqual(troubles, []);
    assert.match(sink.text, new RegExp(`"transcript":"${record.transcript}"`));
    assert.equal((await store.transcript("default", "task"))?.transcript, record.transcript);
  }),
);

test(
  "where even that is used up the reader still gets the ending, and the outcome is kept",
  staged(async (stage) => {
    const { store, sink, troubles } = await ending(stage, false);
    assert.deepEqual(troubles, ["A transcript could not be kept."]);
    assert.match(sink.text, /event: end/);
    assert.equal((await store.transcript("default", "task"))?.outcome.kind, "done");
  }),
);
