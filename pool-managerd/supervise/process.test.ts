import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import {
  ManualClock,
  poolConfig,
  provisioner,
  shortTimes,
  supervise,
  tell,
  untilGone,
} from "./fixtures/place.ts";
import { startOf } from "./process-identity.ts";

const quick = { initial_ms: 1, max_ms: 1 };

/** The clock goes on, and what that set going in the world has its turn. */
async function passed(clock: ManualClock, ms: number): Promise<void> {
  clock.advance(ms);
  await new Promise((resolve) => setImmediate(resolve));
}

test("a replica is starting, loading while it answers 503, and ready once health has passed [OC-POOL-3001]", async (t) => {
  const { heard } = await supervise(t, poolConfig({ model: "slow" }));
  const ready = await heard.phase("ready");
  assert.deepEqual([...new Set(heard.phases())], ["starting", "loading", "ready"]);
  assert.equal(new Set(heard.all.map(({ epoch }) => epoch)).size, 1);
  assert.equal(heard.all[0]?.url, undefined);
  assert.match(ready.url ?? "", /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(ready.lastError, undefined);
});

test("the engine gets its channel and a key of its own, which no log shows", async (t) => {
  const { heard, folder, replicas } = await supervise(t, poolConfig({ replicas: 2 }));
  const all = [0, 1].map((index) =>
    heard.until(({ phase, replicaId }) => phase === "ready" && replicaId === `r${index}`),
  );
  const ready = await Promise.all(all);
  for (const { url, apiKey } of ready) {
    assert.deepEqual(JSON.parse(await tell(url, "/props")), { ipc: true, key: apiKey });
  }
  assert.notEqual(ready[0]?.apiKey, ready[1]?.apiKey);
  await replicas.stop();
  const log = readFileSync(`${folder}/engine-demo.log`, "utf8");
  assert.match(log, /^r0 listening on http/m);
  assert.match(log, /^r1 my key is \[REDACTED\]$/m);
  for (const { apiKey } of ready) assert.ok(!log.includes(apiKey as string));
});

test("ready needs all three: the model, a started engine, and a health that passes [ORCH-3259]", async (t) => {
  const { heard: good } = await supervise(t, poolConfig());
  await good.phase("ready");
  for (const model of ["missing", "nowhere", "mute", "never"]) {
    const times = { ...shortTimes, readyWithinMs: 400 };
    const { heard } = await supervise(t, poolConfig({ model }), { times });
    const { lastError, fault } = await heard.phase("backing_off");
    assert.ok(!heard.phases().includes("ready"), model);
    assert.equal(fault, "crash");
    assert.match(
      lastError ?? "",
      { missing: /model is not there/, nowhere: /nowhere/ }[model] ?? /^health check failed: /,
    );
  }
});

test("a crashed engine is started again as another process, and tells why it fell", async (t) => {
  const { heard, lines } = await supervise(t, poolConfig({ supervision: quick }));
  const first = await heard.phase("ready");
  await tell(first.url, "/exit?code=7&words=CUDA+error:+device+reset");
  const fallen = await heard.until(({ phase, url }) => phase === "backing_off" && url === undefined);
  assert.equal(fallen.epoch, first.epoch);
  assert.equal(fallen.fault, "driver_reset");
  assert.match(fallen.lastError ?? "", /exit code 7.*CUDA error: device reset/);
  const second = await heard.until(({ phase, epoch }) => phase === "ready" && epoch > first.epoch);
  assert.notEqual(second.pid, first.pid);
  assert.equal(second.lastError, undefined);
  const [line] = lines.filter(({ event }) => event === "engine_restart_scheduled");
  assert.equal(line?.backoff_ms, 1);
  assert.equal(line?.error_kind, "driver_reset");
});

test("an engine that has exited is not asked any more, and is not hung while its last words are awaited", async (t) => {
  const clock = new ManualClock();
  const times = { ...shortTimes, readyWithinMs: Number.POSITIVE_INFINITY };
  const { heard } = await supervise(t, poolConfig(), { clock, times });
  while (heard.phases().at(-1) !== "ready") await passed(clock, 1);
  const { url, pid } = await heard.phase("ready");
  const holdsPipes = Number(await tell(url, "/leave-behind"));
  t.after(() => process.kill(holdsPipes, "SIGKILL"));
  const from = heard.all.length;
  await tell(url, "/exit?code=7&words=CUDA+error:+device+reset");
  assert.ok(await untilGone(pid as number));
  while (heard.all.length === from) await passed(clock, shortTimes.pollMs);
  const fallen = heard.all[from];
  assert.deepEqual([fallen?.phase, fallen?.fault], ["backing_off", "driver_reset"]);
  assert.match(fallen?.lastError ?? "", /exit code 7.*CUDA error: device reset/);
});

test("an engine that is falling is not hung, and tells why it fell once it has", async (t) => {
  let pid = 0;
  let polls = 0;
  const health = createServer((_request, response) => {
    response.statusCode = ++polls === 1 ? 200 : 500;
    if (polls === 1 + shortTimes.failedPollsMax) {
      // Nobody hears of it before the answer: the thread that would is kept here until it is so.
      process.kill(pid, "SIGSEGV");
      while (startOf(pid) !== undefined);
    }
    response.end();
  });
  await once(health.listen(0, "127.0.0.1"), "listening");
  t.after(() => health.close());
  const { port } = health.address() as AddressInfo;
  const says = `echo listening on http://127.0.0.1:${port}; exec sleep 600`;
  const answered = {
    ...provisioner,
    ensure: async (...args: Parameters<typeof provisioner.ensure>) => ({
      ...(await provisioner.ensure(...args)),
      command: "sh",
      args: ["-c", says],
      ipc: false,
    }),
  };
  const { heard, lines } = await supervise(t, poolConfig({ supervision: quick }), { provisioner: answered });
  pid = (await heard.phase("ready")).pid as number;
  const { lastError, fault } = await heard.until(
    ({ phase, url }) => phase === "backing_off" && url === undefined,
  );
  assert.equal(fault, "crash");
  assert.match(lastError ?? "", /^The engine was ended by SIGSEGV\./);
  assert.ok(heard.all.every((one) => one.fault !== "hung"));
  assert.equal(lines.find(({ event }) => event === "engine_restart_scheduled")?.error_kind, "crash");
});

test("an engine that is killed from outside is named by its signal", async (t) => {
  const { heard } = await supervise(t, poolConfig({ supervision: quick }));
  const { pid } = await heard.phase("ready");
  process.kill(pid as number, "SIGSEGV");
  const { lastError, fault } = await heard.phase("backing_off");
  assert.match(lastError ?? "", /^The engine was ended by SIGSEGV\./);
  assert.equal(fault, "crash");
});

test("an engine that ends with exit code 0 is not started again", async (t) => {
  const { heard, replicas } = await supervise(t, poolConfig({ supervision: quick }));
  const { url, epoch } = await heard.phase("ready");
  await tell(url, "/exit?code=0");
  const { lastError } = await heard.phase("stopped");
  assert.match(lastError ?? "", /exit code 0/);
  const { ok } = await replicas.reload("demo", "good");
  assert.ok(ok);
  assert.ok((heard.all.at(-1)?.epoch ?? 0) > epoch);
});

test("three silent polls in a row are a hang: the engine is killed, a stopped one too, and replaced", async (t) => {
  const times = { ...shortTimes, pollTimeoutMs: 100 };
  const { heard } = await supervise(t, poolConfig({ supervision: quick }), { times });
  const first = await heard.phase("ready");
  await tell(first.url, "/silence");
  const hung = await heard.until(({ fault }) => fault === "hung");
  assert.equal(hung.phase, "backing_off");
  assert.match(hung.lastError ?? "", /did not answer 3 polls/);
  const second = await heard.until(({ phase, epoch }) => phase === "ready" && epoch > first.epoch);
  process.kill(second.pid as number, "SIGSTOP");
  const third = await heard.until(({ phase, epoch }) => phase === "ready" && epoch > second.epoch);
  assert.ok(await untilGone(first.pid as number));
  assert.ok(await untilGone(second.pid as number));
  assert.ok(startOf(third.pid as number) !== undefined);
});

test("stop ends an engine politely within its grace and leaves neither process nor pid file", async (t) => {
  const { heard, folder, replicas } = await supervise(t, poolConfig({ replicas: 2 }));
  await Promise.all(
    [0, 1].map((index) => heard.until((one) => one.phase === "ready" && one.replicaId === `r${index}`)),
  );
  const pid = readFileSync(`${folder}/demo.pid`, "utf8");
  assert.match(pid, /^\d+\n$/);
  assert.ok(heard.all.some((one) => one.pid === Number(pid)));
  assert.match(readFileSync(`${folder}/demo@r1.pid`, "utf8"), /^\d+\n$/);
  await replicas.stop();
  for (const one of heard.all) if (one.pid !== undefined) assert.equal(startOf(one.pid), undefined);
  for (const name of ["demo.pid", "demo@r1.pid"]) assert.ok(!existsSync(`${folder}/${name}`));
  assert.deepEqual(heard.phases().slice(-4).sort(), ["draining", "draining", "stopped", "stopped"]);
  assert.equal(heard.all.at(-1)?.lastError, undefined);
});

test("an engine that ignores SIGTERM is killed when its grace is over", async (t) => {
  const { heard, replicas } = await supervise(t, poolConfig({ model: "stubborn" }), {
    times: { ...shortTimes, graceMs: 50 },
  });
  const { pid } = await heard.phase("ready");
  await replicas.stop();
  assert.equal(startOf(pid as number), undefined);
  assert.equal(heard.all.at(-1)?.phase, "stopped");
});

test("an engine that is being stopped has its whole grace and no more, and is not late to be ready any more", async (t) => {
  const clock = new ManualClock();
  // Longer than any number of looks at it takes.
  const hourMs = 3_600_000;
  const times = { ...shortTimes, readyWithinMs: hourMs, graceMs: 3 * hourMs };
  let pid = 0;
  // Else a failure would wait for ever: nobody lets the grace pass any more.
  t.after(() => startOf(pid) !== undefined && process.kill(pid, "SIGKILL"));
  const { heard, replicas } = await supervise(t, poolConfig({ model: "stuck" }), { clock, times });
  while (heard.phases().at(-1) !== "loading") await passed(clock, 1);
  pid = (await heard.phase("loading")).pid ?? 0;
  const stopped = replicas.stop();
  clock.advance(hourMs);
  assert.equal(heard.all.at(-1)?.phase, "stopped");
  assert.ok(startOf(pid) !== undefined);
  const again = replicas.stop();
  clock.advance(2 * hourMs);
  assert.ok(await untilGone(pid));
  await Promise.all([stopped, again]);
  const { phase, lastError, fault } = heard.all.at(-1) ?? {};
  assert.deepEqual([phase, lastError, fault], ["stopped", undefined, undefined]);
  assert.ok(!heard.phases().includes("backing_off"));
});

test("stop is heard in every state: while the model is looked for, while it loads, and between restarts", async (t) => {
  for (const model of ["good", "never", "missing"]) {
    const { heard, replicas } = await supervise(t, poolConfig({ model }));
    if (model === "never") await heard.phase("loading");
    if (model === "missing") await heard.phase("backing_off");
    await replicas.stop();
    assert.equal(heard.all.at(-1)?.phase, "stopped", model);
    assert.ok(!heard.phases().includes("draining"), "it has never served");
    assert.equal(heard.all.at(-1)?.pid, undefined);
  }
});

test("a draining replica stays up, and one that dies while draining stays away", async (t) => {
  const { heard, replicas } = await supervise(t, poolConfig({ supervision: quick }));
  const { url, pid } = await heard.phase("ready");
  await replicas.drain("demo");
  assert.equal(heard.all.at(-1)?.phase, "draining");
  assert.equal(heard.all.at(-1)?.url, url);
  assert.ok(startOf(pid as number) !== undefined);
  await tell(url, "/exit?code=9");
  assert.equal((await heard.phase("stopped")).fault, "crash");
});

test("restarts wait longer and longer, never above the cap, and the storm ends in failed", async (t) => {
  const clock = new ManualClock();
  const supervision = {
    initial_ms: 1000,
    max_ms: 8000,
    threshold: 100,
    max_restarts: 6,
    window_s: 3600,
  };
  const pool = poolConfig({ model: "missing", supervision });
  const { heard, replicas, lines } = await supervise(t, pool, { clock });
  const delays: number[] = [];
  for (let from = 0; ; from = heard.all.length) {
    const { phase, readyInMs = 0 } = await heard.until((one) => one.phase !== "starting", from);
    if (phase === "failed") break;
    assert.equal(phase, "backing_off");
    delays.push(readyInMs);
    clock.advance(readyInMs);
  }
  assert.equal(delays.length, 6);
  for (const [index, delay] of delays.entries()) {
    const plain = Math.min(8000, 1000 * 2 ** index);
    assert.ok(delay >= plain * 0.9 && delay <= Math.min(8000, plain * 1.1), `${delay}`);
  }
  assert.match(heard.all.at(-1)?.lastError ?? "", /model is not there/);
  assert.ok(lines.some(({ event }) => event === "engine_given_up"));
  clock.advance(3_600_000);
  assert.equal(heard.all.at(-1)?.phase, "failed");
  assert.deepEqual((await replicas.reload("demo", "missing")).ok, false);
  assert.equal(heard.all.at(-1)?.phase, "backing_off");
});

test("what is refused before it ever served has failed at once, with the reason, until a reload", async (t) => {
  const { heard, replicas, lines } = await supervise(t, poolConfig({ model: "refused" }));
  const { lastError } = await heard.phase("failed");
  assert.match(lastError ?? "", /The model is refused; mend it\.$/);
  assert.deepEqual(heard.phases(), ["starting", "failed"]);
  assert.ok(lines.some(({ event }) => event === "engine_given_up"));
  assert.deepEqual(await replicas.reload("demo", "good"), { ok: true, engineVersion: "played-good" });
});

test("what is refused after it has served is tried again: its disk may only be away", async (t) => {
  let refusals = 0;
  const fickle = {
    ...provisioner,
    async ensure(...[pool, ...rest]: Parameters<typeof provisioner.ensure>) {
      return provisioner.ensure(refusals-- > 0 ? { ...pool, model: "refused" } : pool, ...rest);
    },
  };
  const pool = poolConfig({ supervision: { ...quick, threshold: 100 } });
  const { heard } = await supervise(t, pool, { provisioner: fickle });
  const first = await heard.phase("ready");
  refusals = 2;
  await tell(first.url, "/exit?code=1");
  await heard.until(({ phase, epoch }) => phase === "ready" && epoch > first.epoch);
  const refused = heard.all.filter(
    ({ phase, lastError = "" }) => phase === "backing_off" && /mend/.test(lastError),
  );
  assert.equal(refused.length, 2);
});

test("while the breaker is open the next trial is announced with its time", async (t) => {
  const clock = new ManualClock();
  const pool = poolConfig({ model: "missing", supervision: { threshold: 2 } });
  const { heard } = await supervise(t, pool, { clock });
  const { readyInMs = 0 } = await heard.phase("backing_off");
  const from = heard.all.length;
  clock.advance(readyInMs);
  assert.equal((await heard.phase("backing_off", from)).readyInMs, 300_000);
});

test("a restart says when the replica is expected, from how long it took the last time", async (t) => {
  const { heard } = await supervise(t, poolConfig({ supervision: quick }));
  const first = await heard.phase("ready");
  assert.equal(heard.all[0]?.readyInMs, undefined);
  await tell(first.url, "/exit?code=1");
  const again = await heard.until(({ phase, epoch }) => phase === "starting" && epoch > first.epoch);
  assert.ok((again.readyInMs ?? 0) > 0);
  await heard.until(({ phase, epoch }) => phase === "ready" && epoch > first.epoch);
});

test("a pool without preload waits for its first reload", async (t) => {
  const ensured: string[] = [];
  const counting = {
    ...provisioner,
    ensure: (...args: Parameters<typeof provisioner.ensure>) => {
      ensured.push(args[0].model);
      return provisioner.ensure(...args);
    },
  };
  const { heard, replicas } = await supervise(t, poolConfig({ preload: false }), { provisioner: counting });
  assert.deepEqual(heard.phases(), ["stopped"]);
  assert.deepEqual(ensured, []);
  assert.equal((await replicas.reload("demo", "good")).ok, true);
  assert.equal(heard.all.at(-1)?.phase, "ready");
});
