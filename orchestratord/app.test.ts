// The application as it is before anything has happened, without a listener and without a daemon around it.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Orchestrator } from "@llama-orch/core";
import { createApp } from "./app.ts";
import { FileArtifacts } from "./artifacts/files.ts";
import { keepingOf } from "./artifacts/inventory.ts";
import { FakeClock } from "./fixtures/fake-clock.ts";
import { configFor } from "./fixtures/running.ts";
import { Journal } from "./journal/journal.ts";
import { MemoryStore } from "./store/fixtures/memory-store.ts";
import { Segments } from "./streaming/segments.ts";
import { createLog } from "./telemetry/log.ts";
import { Narrator } from "./telemetry/narration.ts";

const caller = { client: "127.0.0.1", identity: "localhost", correlationId: "fresh" };

test("a fresh application has no pool, no engine, no task and no session, and its core's maps are empty", async (t) => {
  const config = configFor(t, {});
  const { data_dir: folder, retention } = config;
  const clock = new FakeClock();
  const nowMs = () => clock.nowMs();
  const onTrouble = (error: Error) => assert.ifError(error);
  const keep = { keepEndedMs: retention.streams_ms, rememberMs: retention.idempotency_ms };
  const store = new MemoryStore({ nowMs, ...keep });
  let core: Orchestrator | undefined;
  const app = createApp({
    config,
    clock,
    store,
    recovered: store.recover(),
    artifacts: await FileArtifacts.open({ root: config.artifacts.root, keeping: keepingOf(config) }),
    segments: (makeRoom) =>
      Segments.open({ folder: join(folder, "segments"), makeRoom, onFailure: onTrouble }),
    journal: (of) => {
      core = of;
      const { max_bytes: maxBytes } = config.journal;
      return Journal.open({
        folder: join(folder, "journal"),
        core,
        clock,
        seed: 1,
        version: "0",
        maxBytes,
        onTrouble,
      });
    },
    log: createLog({
      service: "orchestratord",
      version: "0",
      level: "error",
      format: "json",
      secrets: [],
      write: (line) => assert.fail(line),
    }),
    narrator: new Narrator({ emittedBy: "orchestratord@0", nowMs, maskUuids: false }),
    seed: 1,
  });
  t.after(() => app.close());
  const { application } = app;
  assert.ok(core);
  for (const [name, part] of Object.entries(core.state)) {
    if (part instanceof Map) assert.deepEqual([...part], [], name);
  }
  assert.deepEqual(application.pools(), { pools: [], count: 0 });
  assert.deepEqual(application.tasks({}, caller).tasks, []);
  const { engines, replica_sets } = application.capabilities();
  assert.deepEqual([engines, replica_sets], [[], []]);
  assert.deepEqual(application.session("any", caller).turns, 0);
});
