// Starting and stopping the daemon: what must be there, what is let finish, and that nothing is left.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { takeDataDirectory } from "./data-directory.ts";
import { framesIn, lastOf } from "./fixtures/client.ts";
import { configFor, running } from "./fixtures/running.ts";
import { DirectoryTaken } from "./index.ts";
import { startOrchestratord } from "./start.ts";
import { admitted, sent, settingsWith } from "./store/fixtures/facts.ts";
import { MemoryStore } from "./store/fixtures/memory-store.ts";

const quiet = { writeLog: () => {} };

/** Pipes and terminals are the test runner's; a call of the file system ends by itself and is no handle. */
const passing = new Set(["PipeWrap", "TTYWrap", "FSReqCallback", "FSReqPromise"]);

/** Timers that are not cancelled and sockets that are not closed. */
async function handles(): Promise<string[]> {
  for (let n = 0; n < 5; n++) await turn();
  return process.getActiveResourcesInfo().filter((kind) => !passing.has(kind));
}

test("a daemon that stops takes no more tasks, lets the running one finish, and its reader gets the end [ADM-05]", async (t) => {
  const { client, stop, log } = await running(t, { engines: [{ tokensPerSecond: 200 }] });
  await client.submit({ task_id: "running", max_tokens: 60 });
  const reading = await client.follow("running");
  await reading.tokens(5);
  const stopped = stop();
  await log.until(({ event }) => event === "stopping");
  const refused = await client.submit({ task_id: "late" });
  assert.deepEqual(
    [refused.status, refused.body.code, refused.body.policy_label],
    [503, "POOL_UNAVAILABLE", "retry"],
  );
  const frames = framesIn(await reading.rest());
  assert.equal(lastOf(frames).event, "end");
  assert.equal(lastOf(frames).data.tokens_out, 60);
  await stopped;
  await assert.rejects(client.get("/metrics"));
});

test("what does not finish in time is cut without a terminal frame, and nothing is left", async (t) => {
  const { client, engines, stop } = await running(t, { config: { shutdown_ms: 100 } });
  await engines[0]?.faults({ stall_after: 3 });
  await client.submit({ task_id: "stuck" });
  const reading = await client.follow("stuck");
  await reading.tokens(3);
  const startedAtMs = performance.now();
  const stopped = stop();
  await assert.rejects(reading.rest());
  await stopped;
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs >= 99 && tookMs < 2000, `${tookMs} ms`);
  assert.deepEqual(
    [...new Set(framesIn(reading.text).map(({ event }) => event))],
    ["started", "token", "metrics"],
  );
});

test("whoever carries the daemon is told of its pools what HTTP would say", async (t) => {
  const { client, daemon } = await running(t);
  const [pool] = daemon.pools().pools;
  assert.deepEqual([pool?.pool_id, pool?.health.ready], ["pool-0", true]);
  assert.deepEqual(daemon.pools(), (await client.get("/v2/pools")).body);
});

test("a second signal ends at once", async (t) => {
  const { client, engines, stop } = await running(t, { config: { shutdown_ms: 60_000 } });
  await engines[0]?.faults({ stall_after: 3 });
  await client.submit({ task_id: "stuck" });
  await (await client.follow("stuck")).tokens(3);
  const again = new AbortController();
  const stopped = stop(again.signal);
  again.abort();
  await stopped;
});

test("a daemon that has stopped leaves no timer, no socket and a free data directory", async (t) => {
  const before = await handles();
  const config = configFor(t, {});
  const daemon = await startOrchestratord({ config, ...quiet });
  assert.equal((await fetch(`${daemon.url}/metrics`, { headers: { connection: "close" } })).status, 200);
  await daemon.stop();
  assert.deepEqual(
    (await handles()).filter((kind) => !before.includes(kind)),
    [],
  );
  assert.ok(!existsSync(join(config.data_dir, "daemon.pid")));
  const again = await startOrchestratord({ config, ...quiet });
  await again.stop();
});

test("a data directory that is taken is left alone, and it is said who holds it", async (t) => {
  const config = configFor(t, {});
  const holder = takeDataDirectory(config.data_dir);
  t.after(async () => holder.release());
  await assert.rejects(startOrchestratord({ config, ...quiet }), (error: Error) => {
    assert.ok(error instanceof DirectoryTaken);
    assert.match(error.message, new RegExp(`in use by process ${process.pid}`));
    return true;
  });
});

test("an address that is taken ends the start, and leaves nothing behind", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(async () => void other.close());
  const { port } = other.address() as AddressInfo;
  const config = configFor(t, { auth: { bind_addr: `127.0.0.1:${port}` } });
  const before = await handles();
  await assert.rejects(startOrchestratord({ config, ...quiet }), { code: "EADDRINUSE" });
  assert.deepEqual(await handles(), before);
  takeDataDirectory(config.data_dir).release();
});

test("a certificate that cannot be read ends the start, and leaves the data directory free", async (t) => {
  const config = configFor(t, { tls: { cert_file: "/nowhere/cert.pem", key_file: "/nowhere/key.pem" } });
  await assert.rejects(startOrchestratord({ config, ...quiet }), { code: "INVALID_PARAMS" });
  takeDataDirectory(config.data_dir).release();
});

test("a wall clock that lies behind what was recorded is said once, with what that means", async (t) => {
  const nowMs = () => Date.now();
  const store = () => new MemoryStore({ nowMs, keepEndedMs: 1000, rememberMs: 1000 });
  const [behind, fine] = [store(), store()];
  const configured = { fact: "configured", settings: settingsWith() } as const;
  await behind.commit([{ ...configured, atMs: Date.now() + 3_600_000 }]);
  await fine.commit([{ ...configured, atMs: Date.now() }]);
  const said = async (kept: MemoryStore) => (await running(t, { store: kept })).log.of("clock_behind");
  const [line, ...more] = await said(behind);
  assert.deepEqual([line?.level, more], ["warn", []]);
  assert.match(line?.human ?? "", /^The wall clock is 36\d\d s behind the time recorded last, from which /);
  assert.deepEqual(await said(fine), []);
});

test("what an earlier run left is said before anything is done about it, with what ran and what waited", async (t) => {
  const store = new MemoryStore({ nowMs: () => Date.now(), keepEndedMs: 1000, rememberMs: 1000 });
  const ids = ["ran", "waited", "waited, too"];
  const drain = { fact: "drained", sinceMs: 1, deadlineAtMs: 2 } as const;
  await store.commit([
    { fact: "configured", settings: settingsWith("pool-0"), atMs: 1 },
    ...ids.map((id) => admitted(id, { taskId: id, atMs: Date.now() })),
    sent("ran"),
    { ...drain, poolId: "pool-0" },
    { ...drain, poolId: "gone" },
  ]);
  const { log } = await running(t, { store });
  assert.equal(log.all[0]?.event, "recovered");
  assert.equal(log.all[0]?.human, "Goes on with 3 tasks of an earlier run: 1 ran, 2 waited.");
  assert.deepEqual(
    log.of("still_drained").map(({ pool_id }) => pool_id),
    ["pool-0"],
  );
  const [ready] = log.of("replica_ready");
  assert.match(ready?.human ?? "", / is ready, and its pool is drained\.$/);
});
