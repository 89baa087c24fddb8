import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { watch } from "node:fs/promises";
import { test } from "node:test";
import { poolConfig, supervise } from "./fixtures/place.ts";
import { startOf } from "./process-identity.ts";

const two = (more: Record<string, unknown> = {}) => poolConfig({ replicas: 2, ...more });
const plenty = { availableBytes: () => Number.MAX_SAFE_INTEGER };
const scarce = { availableBytes: () => 0 };

async function bothReady(
  t: Parameters<typeof supervise>[0],
  more: Parameters<typeof supervise>[2],
  pool = two(),
) {
  const place = await supervise(t, pool, more);
  const ids = ["r0", "r1"];
  const ready = await Promise.all(
    ids.map((id) => place.heard.until(({ phase, replicaId }) => phase === "ready" && replicaId === id)),
  );
  return { ...place, ready, told: place.heard.all.length };
}

test("with room for both models the old one serves until the new one is ready on every replica", async (t) => {
  const { replicas, heard, ready, told, folder } = await bothReady(t, plenty);
  const reload = replicas.reload("demo", "slow");
  assert.deepEqual(await reload, { ok: true, engineVersion: "played-slow" });
  const after = heard.all.slice(told);
  assert.deepEqual(
    after.map(({ phase }) => phase),
    ["ready", "ready"],
  );
  assert.ok(after.every(({ epoch }) => ready.every((old) => old.epoch < epoch)));
  for (const { pid } of ready) assert.equal(startOf(pid as number), undefined);
  assert.equal(
    Number(readFileSync(`${folder}/demo.pid`, "utf8")),
    after.find(({ replicaId }) => replicaId === "r0")?.pid,
  );
});

test("with room for both a model that does not come up is never heard of", async (t) => {
  const { replicas, heard, ready, told } = await bothReady(t, plenty);
  const result = await replicas.reload("demo", "vram");
  assert.equal(result.ok, false);
  assert.equal(result.engineVersion, "played-good");
  assert.match(result.error ?? "", /cudaMalloc failed: out of memory/);
  assert.equal(heard.all.length, told);
  for (const { pid } of ready) assert.notEqual(startOf(pid as number), undefined);
});

test("a draining pool whose reload fails is ready again with the processes it had", async (t) => {
  const { replicas, heard, ready, told } = await bothReady(t, plenty);
  await replicas.drain("demo");
  assert.equal((await replicas.reload("demo", "vram")).ok, false);
  const after = heard.all.slice(told);
  assert.deepEqual(
    after.map(({ phase }) => phase),
    ["draining", "draining", "ready", "ready"],
  );
  assert.deepEqual(new Set(after.map(({ pid }) => pid)), new Set(ready.map(({ pid }) => pid)));
});

test("without room the old model ends first", async (t) => {
  const { replicas, heard, told } = await bothReady(t, scarce);
  assert.deepEqual(await replicas.reload("demo", "slow"), { ok: true, engineVersion: "played-slow" });
  const phases = heard.all.slice(told).map(({ phase }) => phase);
  assert.ok(phases.lastIndexOf("stopped") < phases.indexOf("starting"));
  assert.equal(phases.at(-1), "ready");
});

test("without room a model that does not come up gives way to the old one, started again", async (t) => {
  const { replicas, heard, ready } = await bothReady(t, scarce);
  const result = await replicas.reload("demo", "vram");
  assert.equal(result.ok, false);
  assert.equal(result.engineVersion, "played-good");
  assert.match(result.error ?? "", /out of memory/);
  for (const { replicaId, epoch } of ready) {
    const last = heard.all.findLast((one) => one.replicaId === replicaId);
    assert.equal(last?.phase, "ready");
    assert.ok((last?.epoch ?? 0) > epoch);
  }
});

test("a model that cannot be staged changes nothing", async (t) => {
  const { replicas, heard, told } = await bothReady(t, scarce);
  const result = await replicas.reload("demo", "missing");
  assert.deepEqual(result, {
    ok: false,
    engineVersion: "played-good",
    error: "The model is not there; put it there.",
  });
  assert.equal(heard.all.length, told);
});

test("a reload to the same model is nothing while it serves, and brings back what is drained or ended", async (t) => {
  const { replicas, heard, ready, told } = await bothReady(t, plenty);
  const served = { ok: true, engineVersion: "played-good" };
  assert.deepEqual(await replicas.reload("demo", "good"), served);
  assert.equal(heard.all.length, told);
  await replicas.end("demo");
  assert.equal(heard.all.at(-1)?.phase, "stopped");
  for (const { pid } of ready) assert.equal(startOf(pid as number), undefined);
  assert.deepEqual(await replicas.reload("demo", "good"), served);
  assert.equal(heard.all.at(-1)?.phase, "ready");
});

test("reloads that come together are done one after the other, and the last one stays", async (t) => {
  const { replicas } = await bothReady(t, plenty);
  const models = ["slow", "vram", "other"];
  const results = await Promise.all(models.map((model) => replicas.reload("demo", model)));
  assert.deepEqual(
    results.map(({ ok, engineVersion }) => [ok, engineVersion]),
    [
      [true, "played-slow"],
      [false, "played-slow"],
      [true, "played-other"],
    ],
  );
});

test("stop in the middle of a reload leaves no process of either model", async (t) => {
  for (const more of [plenty, scarce]) {
    const { replicas, heard, folder } = await bothReady(t, more);
    const old = readFileSync(`${folder}/demo.pid`, "utf8");
    const reload = replicas.reload("demo", "never");
    const coming = await nextPid(folder, old);
    await replicas.stop();
    assert.equal((await reload).ok, false);
    assert.equal(startOf(coming), undefined);
    for (const { pid } of heard.all) if (pid !== undefined) assert.equal(startOf(pid), undefined);
    assert.equal(heard.all.at(-1)?.phase, "stopped");
    assert.deepEqual(JSON.parse(readFileSync(`${folder}/processes`, "utf8")).engines, []);
  }
});

/** The number of the process that follows, as soon as its pid file names it. */
async function nextPid(folder: string, old: string): Promise<number> {
  for await (const _ of watch(folder)) {
    const text = existsSync(`${folder}/demo.pid`) ? readFileSync(`${folder}/demo.pid`, "utf8") : old;
    if (text !== old) return Number(text);
  }
  throw new Error("The folder is no longer watched.");
}
