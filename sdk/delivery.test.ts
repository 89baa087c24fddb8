import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrchError } from "@llama-orch/contract";
import { Delivery } from "./delivery.ts";

const isReset = (error: OrchError) => error.code === "WORKER_RESET";

/** With bare indexes as ids, so that no frame proves anything by itself. */
function delivered(...texts: readonly string[]): Delivery {
  const delivery = new Delivery("poem-1");
  for (const [i, t] of texts.entries()) assert.deepEqual(delivery.take({ t, i }, String(i)), [{ t, i }]);
  return delivery;
}

test("the position names the last token and the digest after it", () => {
  assert.equal(new Delivery("poem-1").lastEventId, undefined);
  assert.match(delivered("Old", " pond").lastEventId ?? "", /^1-[0-9a-f]{8}$/);
  assert.notEqual(delivered("Old", " pond").lastEventId, delivered("Old", " lake").lastEventId);
});

test("a stream that starts over is compared by itself, whatever its ids prove", () => {
  const delivery = delivered("Old", " pond");
  delivery.startOver();
  assert.deepEqual(delivery.take({ t: "Old", i: 0 }, "0"), []);
  assert.throws(() => delivery.take({ t: " lake", i: 1 }, "1"), isReset);
});

test("a batch that reaches beyond what was delivered gives only what is new", () => {
  const delivery = delivered("Old", " pond");
  delivery.startOver();
  const batch = ["Old", " pond", " –"].map((t, i) => ({ t, i }));
  assert.deepEqual(delivery.take({ t: "Old", i: 0, batch }, "2"), [{ t: " –", i: 2 }]);
  delivery.finish();
  assert.equal(delivery.count, 3);
});

test("a connection that breaks off while it catches up goes on from where it stood", () => {
  const delivery = delivered("Old", " pond", " –");
  delivery.startOver();
  delivery.take({ t: "Old", i: 0 }, "0");
  assert.equal(delivery.lastEventId, delivered("Old").lastEventId);
  assert.throws(() => delivery.finish(), isReset);
});
