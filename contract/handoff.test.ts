import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHandoff } from "./handoff.ts";

test("a handoff that says only where the engine is gets the defaults", () => {
  assert.deepEqual(parseHandoff({ url: "http://127.0.0.1:9001" }), {
    url: "http://127.0.0.1:9001",
    pool_id: "default",
    replica_id: "r0",
    slots_total: 1,
    slots_free: 1,
  });
});

test("slots is the old word for slots_total", () => {
  const ready = parseHandoff({ url: "http://127.0.0.1:9001", slots: 4, slots_free: 3 });
  assert.equal(ready.slots_total, 4);
  assert.equal(ready.slots_free, 3);
  assert.equal("slots" in ready, false);
});

test("a handoff cannot have more free slots than slots", () => {
  assert.throws(
    () => parseHandoff({ url: "http://127.0.0.1:9001", slots_total: 1, slots_free: 9 }),
    /slots_free: given 9; accepted: at most slots_total, which is 1/,
  );
});

test("a handoff without an address is refused", () => {
  assert.throws(() => parseHandoff({ pool_id: "p" }), /url: given nothing; accepted: an http/);
});
