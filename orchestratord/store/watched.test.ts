import assert from "node:assert/strict";
import { test } from "node:test";
import { OrchError } from "@llama-orch/contract";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { HeldStore } from "../fixtures/held-store.ts";
import { admitted } from "./fixtures/facts.ts";
import { endedMax, keepEndedMs, rememberMs, storeConformance } from "./store.conformance.ts";
import { WatchedStore } from "./watched.ts";

function watched() {
  const clock = new FakeClock();
  const disk = new HeldStore({ nowMs: () => clock.nowMs(), keepEndedMs, rememberMs, endedMax });
  const heard: boolean[] = [];
  const store = new WatchedStore({ store: disk, clock, onFull: (full) => heard.push(full) });
  return { clock, disk, heard, store };
}

const fact = { fact: "drained", poolId: "p", sinceMs: 0, deadlineAtMs: 1 } as const;
const settled = () => new Promise((resolve) => setImmediate(resolve));

storeConformance("store that is watched", async (run) => {
  const { clock, store } = watched();
  await run({ store, advance: (ms) => clock.advance(ms) });
  await store.close();
});

test("a store that refuses says so in the words of the contract, and is told once", async () => {
  const { disk, heard, store } = watched();
  disk.refuses = () => true;
  for (let n = 0; n < 3; n++) {
    await assert.rejects(store.commit([fact]), {
      code: "POOL_UNAVAILABLE",
      details: { policy_label: "storage", retry_after_ms: 30_000 },
      message: /^The store cannot be written \(ENOSPC: .*\)\. Make room /,
    });
  }
  assert.deepEqual(heard, [true]);
  disk.refuses = () => false;
  await store.commit([fact]);
  assert.deepEqual(heard, [true]);
  await store.commit([admitted("j")]);
  await store.commit([admitted("k")]);
  assert.deepEqual(heard, [true, false]);
});

test("a store's own words about its room stay as they are", async () => {
  const { disk, store } = watched();
  const own = new OrchError("POOL_UNAVAILABLE", "Full.", { policy_label: "storage", retry_after_ms: 5 });
  disk.refuses = () => {
    throw own;
  };
  await assert.rejects(store.commit([fact]), own);
});

test("a full store is asked every second whether it has room again, since nobody else would notice", async () => {
  const { clock, disk, heard, store } = watched();
  disk.refuses = () => true;
  await assert.rejects(store.commit([fact]));
  for (let n = 0; n < 3; n++) {
    clock.advance(1000);
    await settled();
  }
  assert.deepEqual(heard, [true]);
  disk.refuses = () => false;
  clock.advance(999);
  await settled();
  assert.deepEqual(heard, [true]);
  clock.advance(1);
  await settled();
  assert.deepEqual(heard, [true, false]);
  assert.equal(clock.timers, 0);
});

test("what has to be kept is tried again every second, by its name once, before anything new is", async () => {
  const { clock, disk, heard, store } = watched();
  disk.refuses = () => true;
  const tried: string[] = [];
  const attempt = (what: string) => async () => {
    tried.push(what);
    await store.commit([fact]);
  };
  await assert.rejects(store.insist("a", attempt("a")), { code: "POOL_UNAVAILABLE" });
  await assert.rejects(store.insist("b", attempt("b")), { code: "POOL_UNAVAILABLE" });
  await assert.rejects(store.insist("a", attempt("a anew")), { code: "POOL_UNAVAILABLE" });
  tried.length = 0;
  clock.advance(1000);
  await settled();
  assert.deepEqual(tried, ["b", "a anew"]);
  disk.refuses = (facts) => facts.length === 0;
  clock.advance(1000);
  await settled();
  assert.deepEqual(tried.length, 4);
  clock.advance(1000);
  await settled();
  assert.deepEqual([tried.length, heard], [4, [true]], "both are kept, and there is no room for more");
  disk.refuses = () => false;
  clock.advance(1000);
  await settled();
  assert.deepEqual(heard, [true, false]);
  assert.equal(clock.timers, 0);
});

test("while something is owed nothing else says that there is room", async () => {
  const { clock, heard, store } = watched();
  const refusal = new OrchError("POOL_UNAVAILABLE", "Full.", { policy_label: "storage" });
  let refuses = true;
  const elsewhere = async () => {
    if (refuses) throw refusal;
  };
  await assert.rejects(store.insist("elsewhere", elsewhere), refusal);
  await store.commit([admitted("j")]);
  clock.advance(1000);
  await settled();
  assert.deepEqual(heard, [true]);
  refuses = false;
  clock.advance(1000);
  await settled();
  assert.deepEqual(heard, [true, false]);
});

test("what is wrong is thrown as it is, and tried by nobody again", async () => {
  const { clock, store } = watched();
  await assert.rejects(
    store.insist("wrong", async () => {
      throw new TypeError("a bug");
    }),
    TypeError,
  );
  assert.equal(clock.timers, 0);
});

test("a store that is closed while it is full asks no more", async () => {
  const { clock, disk, heard, store } = watched();
  disk.refuses = () => true;
  await assert.rejects(store.commit([fact]));
  await store.close();
  clock.advance(10_000);
  await settled();
  assert.deepEqual(heard, [true]);
  assert.equal(clock.timers, 0);
});
