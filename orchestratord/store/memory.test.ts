import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { MemoryStore } from "./memory.ts";
import { keepEndedMs, rememberMs, storeConformance } from "./store.conformance.ts";

storeConformance("store in memory", async (run) => {
  const clock = new FakeClock();
  const store = new MemoryStore({ nowMs: () => clock.nowMs(), keepEndedMs, rememberMs });
  await run({ store, advance: (ms) => clock.advance(ms) });
  await store.close();
});

test("beyond its limit the longest ended are forgotten, and never what is live", async () => {
  const store = new MemoryStore({ nowMs: () => 0, keepEndedMs, rememberMs, endedMax: 2 });
  const named = (n: number) => ({ jobId: `j${n}`, tenantId: "default", taskId: `t${n}`, atMs: 0 });
  const answer = (n: number) => ({ jobId: `j${n}`, queuePosition: 0, predictedStartMs: 0, preparation: [] });
  for (let n = 0; n < 5; n++) {
    const more = { priority: "batch", fingerprint: "f", body: {}, answer: answer(n) } as const;
    await store.commit([{ fact: "admitted", ...named(n), ...more }]);
  }
  for (let n = 1; n < 5; n++) {
    const outcome = { kind: "done", tokensOut: 1, decodeMs: 1 } as const;
    await store.commit([{ fact: "ended", ...named(n), outcome }]);
  }
  const remembered = await Promise.all([0, 1, 2, 3, 4].map((n) => store.remembered("default", `t${n}`)));
  assert.deepEqual(
    remembered.map((each) => each !== undefined),
    [true, false, false, true, true],
  );
  assert.equal(await store.transcript("default", "t2"), undefined);
  assert.equal((await store.transcript("default", "t3"))?.jobId, "j3");
});
