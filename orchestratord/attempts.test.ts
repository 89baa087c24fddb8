// Attempts that end before their engine is asked, and those that hit a bug: who is blamed, and who is not.

import assert, { AssertionError } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type DispatchAttempt, Orchestrator } from "@llama-orch/core";
import { Attempts } from "./attempts.ts";
import { aRecord } from "./fixtures/records.ts";
import { TinyAdapter } from "./fixtures/tiny-adapter.ts";
import type { Happening } from "./loop.ts";
import { Recorder } from "./recorder.ts";
import { Directory } from "./replicas/directory.ts";
import { admitted } from "./store/fixtures/facts.ts";
import { MemoryStore } from "./store/fixtures/memory-store.ts";
import { type Stage, staged } from "./streaming/fixtures/stage.ts";
import { Tasks } from "./tasks.ts";

const dispatch: DispatchAttempt = {
  type: "DispatchAttempt",
  jobId: "job",
  attempt: 1,
  poolId: "pool-0",
  replicaId: "r0",
  epoch: 1,
  nodeId: null,
  resume: null,
  preempted: false,
  limits: { maxTokens: 8, firstTokenMs: 1000, idleMs: 1000, wallMs: null, budgetMs: null },
  waited: null,
  reuseCache: false,
  decision: {
    candidatesTotal: 1,
    candidatesFeasible: 1,
    filters: [],
    tieBreakers: [],
    pinned: false,
    fallback: false,
    affinity: false,
  },
};

async function open({ clock, open: openStream }: Stage, adapter = new TinyAdapter()) {
  const store = new MemoryStore({ nowMs: () => clock.nowMs(), keepEndedMs: 1000, rememberMs: 1000 });
  const tasks = new Tasks(1000);
  const record = { ...aRecord(), stream: openStream() };
  tasks.add(record);
  const { jobId } = record;
  await store.commit([admitted(jobId, { body: { prompt: "x" } })]);
  const core = new Orchestrator(1);
  const posted: Happening[] = [];
  const post = (happening: Happening) => posted.push(happening);
  const expected = () => ({ ctxMax: 128, slotsTotal: 1 });
  const directory = new Directory({ bind: () => adapter, post, clock, pollMs: 1000, expected });
  const troubles: string[] = [];
  const bugs: unknown[] = [];
  const broken: string[] = [];
  const attempts = new Attempts({
    core,
    clock,
    tasks,
    store,
    directory,
    recorder: new Recorder({ core, store }),
    post,
    observer: { handled() {}, delivered() {}, trouble: (what) => void troubles.push(what) },
    onBroken: (poolId, replicaId) => broken.push(`${poolId}/${replicaId}`),
    onBug: (error) => bugs.push(error),
    hide: (text) => text,
  });
  const serve = async () => {
    directory.announce({
      poolId: "pool-0",
      replicaId: "r0",
      epoch: 1,
      phase: "ready",
      engine: "llamacpp",
      url: "http://127.0.0.1:1",
    });
    await turn();
  };
  const ended = () => posted.filter(({ type }) => type === "AttemptEnded");
  return { attempts, record, store, directory, serve, ended, troubles, bugs, broken };
}

test(
  "a replica that is gone before the start is nobody's fault, and no connection to it was broken",
  staged(async (stage) => {
    const { attempts, ended, broken } = await open(stage);
    attempts.dispatch(dispatch);
    await attempts.idle();
    assert.partialDeepStrictEqual(ended(), [
      { type: "AttemptEnded", jobId: "job", attempt: 1, ending: { kind: "lost", reason: "restart" } },
    ]);
    assert.deepEqual(broken, []);
  }),
);

test(
  "an attempt whose task has ended meanwhile starts nothing and loses nothing",
  staged(async (stage) => {
    const { attempts, record, ended, serve, directory } = await open(stage);
    await serve();
    attempts.dispatch(dispatch);
    record.outcome = { kind: "canceled", reason: "client", tokensOut: 0, decodeMs: 0 };
    await attempts.idle();
    assert.partialDeepStrictEqual(ended(), [{ ending: { kind: "aborted" } }]);
    assert.equal(record.stream.isStarted, false);
    await directory.close();
  }),
);

test(
  "texts that the store cannot read end their task, and blame no engine",
  staged(async (stage) => {
    const { attempts, store, ended, serve, directory, broken, troubles, bugs } = await open(stage);
    await serve();
    store.body = () => Promise.reject(new Error("EIO: i/o error"));
    attempts.dispatch(dispatch);
    await attempts.idle();
    assert.partialDeepStrictEqual(ended(), [{ ending: { kind: "refused", code: "INTERNAL" } }]);
    assert.deepEqual([broken, bugs], [[], []]);
    assert.deepEqual(troubles, ["The texts of a task could not be read."]);
    await directory.close();
  }),
);

test(
  "a bug in the relay is told as one, and is no loss of an engine",
  staged(async (stage) => {
    const bug = new AssertionError({ message: "This never happens." });
    const adapter = new TinyAdapter();
    // biome-ignore lint/correctness/useYield: it is broken before it has anything to say.
    adapter.submit = async function* () {
      throw bug;
    };
    const { attempts, ended, serve, directory, bugs, broken } = await open(stage, adapter);
    await serve();
    attempts.dispatch(dispatch);
    await attempts.idle();
    assert.deepEqual(bugs, [bug]);
    assert.deepEqual([ended(), broken], [[], []]);
    await directory.close();
  }),
);

test("a bug ends the daemon, after it has said so", { timeout: 30_000 }, async () => {
  const program = `${import.meta.dirname}/fixtures/buggy-daemon.ts`;
  const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  }
  const [code] = await once(child, "close");
  assert.equal(code, 1);
  assert.match(said.stdout, /"event":"trouble".*A bug ends the daemon\..*lives without its texts/);
  assert.match(said.stderr, /lives without its texts/);
});
