import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import type { ReplicaAnnouncement } from "@llama-orch/contract";
import { startReplicas } from "../replicas.ts";
import { findParentBinding, startChild } from "./engine-child.ts";
import {
  Announcements,
  options,
  poolConfig,
  provisioner,
  temporaryFolder,
  untilGone,
  watchEnd,
} from "./fixtures/place.ts";
import { startOf } from "./process-identity.ts";

const program = join(import.meta.dirname, "fixtures/supervisor.ts");

interface Supervisor {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ready: readonly ReplicaAnnouncement[];
}

/** Two replicas, ready, under a program of their own. */
async function superviseElsewhere(t: TestContext, folder: string, env = process.env): Promise<Supervisor> {
  const child = spawn(process.execPath, [program, folder], { env, stdio: ["pipe", "pipe", "inherit"] });
  const heard = new Announcements();
  createInterface({ input: child.stdout }).on("line", (line) => heard.add(JSON.parse(line)));
  t.after(() => {
    child.kill("SIGKILL");
    for (const { pid } of heard.all)
      if (pid !== undefined && startOf(pid) !== undefined) process.kill(pid, "SIGKILL");
  });
  const all = ["r0", "r1"].map((id) =>
    heard.until(({ phase, replicaId }) => phase === "ready" && replicaId === id),
  );
  return { child, pid: child.pid as number, ready: await Promise.all(all) };
}

test("kill -9 of the supervisor ends its engines, a stopped one too", { timeout: 60_000 }, async (t) => {
  const { child, ready } = await superviseElsewhere(t, temporaryFolder(t));
  const ends = await Promise.all(ready.map(({ url }) => watchEnd(url as string)));
  process.kill(ready[0]?.pid as number, "SIGSTOP");
  child.kill("SIGKILL");
  await Promise.all(ends.map(({ gone }) => gone));
  for (const { pid } of ready) assert.ok(await untilGone(pid as number));
});

test("where no kernel promise binds them, engines of a killed run end at the next start", async (t) => {
  const folder = temporaryFolder(t);
  const { child, ready } = await superviseElsewhere(t, folder, { ...process.env, PATH: "/nowhere" });
  process.kill(ready[0]?.pid as number, "SIGSTOP");
  child.kill("SIGKILL");
  await once(child, "exit");
  for (const { pid } of ready) assert.notEqual(startOf(pid as number), undefined);
  const heard = new Announcements();
  const replicas = await startReplicas({
    ...options(folder, poolConfig(), process.env),
    announce: heard.add,
  });
  for (const { pid } of ready) assert.equal(startOf(pid as number), undefined);
  const { epoch } = await heard.phase("ready");
  assert.ok(ready.every((old) => old.epoch < epoch));
  await replicas.stop();
});

test("a program that exits without stopping takes its engines with it", async (t) => {
  const env = { ...process.env, PATH: "/nowhere" };
  const { child, ready } = await superviseElsewhere(t, temporaryFolder(t), env);
  child.stdin?.write("exit\n");
  await once(child, "exit");
  for (const { pid } of ready) assert.ok(await untilGone(pid as number));
});

test("Ctrl-C in a terminal reaches the supervisor and not its engines", async (t) => {
  const { child, ready } = await superviseElsewhere(t, temporaryFolder(t));
  for (const { pid } of ready) {
    assert.doesNotThrow(() => process.kill(-(pid as number), 0), "it leads a group of its own");
  }
  child.stdin?.write("stop\n");
  await once(child, "exit");
  for (const { pid } of ready) assert.equal(startOf(pid as number), undefined);
});

test("an engine whose parent died before it was bound does not begin", { timeout: 60_000 }, async () => {
  const binding = await findParentBinding();
  assert.ok(binding !== undefined);
  const launch = await provisioner.ensure(
    poolConfig(),
    { replicaId: "r0", port: 0 },
    { hasNvidiaDriver: false },
  );
  const lines: string[] = [];
  const orphaned = [...binding.slice(0, -1), "1"];
  const child = await startChild(launch, { env: process.env, binding: orphaned }, (line) => lines.push(line));
  assert.deepEqual(await child.ended, { code: 1, signal: null });
  assert.deepEqual(lines, []);
});

test("what an engine started itself goes with it, and its last words without a line end are heard", async () => {
  const launch = await provisioner.ensure(
    poolConfig(),
    { replicaId: "r0", port: 0 },
    { hasNvidiaDriver: false },
  );
  const script = 'sleep 600 & echo $!; printf last; printf " words" >&2; exit 3';
  const lines: string[] = [];
  const shell = { ...launch, command: "sh", args: ["-c", script], ipc: false };
  const child = await startChild(shell, { env: process.env, binding: undefined }, (line) => lines.push(line));
  assert.deepEqual(await child.ended, { code: 3, signal: null });
  const [grandchild, ...words] = lines;
  assert.ok(await untilGone(Number(grandchild)));
  assert.deepEqual(words.sort(), [" words", "last"]);
});
