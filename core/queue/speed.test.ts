import assert from "node:assert/strict";
import { test } from "node:test";
import { FairQueue } from "./fair.ts";
import type { Ordered } from "./queue.ts";

interface Item extends Ordered {
  readonly tenantId: string;
  readonly priority: "interactive";
  readonly cost: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly lane: string;
}

/** Microseconds to put one item behind `waiting` others and take the first out; the best of some rounds. */
function perTurn(waiting: number): number {
  const queue = new FairQueue<Item>({ edf: false, strictClasses: false, weightOf: () => 1 });
  let ordinal = 0;
  const push = () =>
    queue.push({
      ordinal: ordinal++,
      deadlineAtMs: ordinal,
      tenantId: "t",
      priority: "interactive",
      cost: 1,
      promptTokens: 1,
      outputTokens: 1,
      lane: "",
    });
  const handles = Array.from({ length: waiting }, push);
  let head = 0;
  let best = Infinity;
  for (let round = 0; round < 8; round++) {
    const turns = 20_000;
    const started = performance.now();
    for (let i = 0; i < turns; i++) {
      handles.push(push());
      queue.serve(handles[head++] as (typeof handles)[number]);
    }
    best = Math.min(best, ((performance.now() - started) / turns) * 1000);
  }
  assert.equal(queue.size, waiting);
  assert.equal(queue.next(() => true)?.ordinal, head, "order of arrival held");
  return best;
}

test("a turn through the queue takes no longer behind 100 000 items than behind 1 000 [OC-CORE-1003]", () => {
  const short = perTurn(1000);
  const long = perTurn(100_000);
  assert.ok(long < 5 * short, `${long.toFixed(2)} us behind 100 000, ${short.toFixed(2)} us behind 1 000`);
});
