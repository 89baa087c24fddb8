import assert from "node:assert/strict";
import { test } from "node:test";
import type { Priority } from "@llama-orch/contract";
import fc from "fast-check";
import { type FairItem, FairQueue } from "./fair.ts";
import type { QueueHandle } from "./queue.ts";

const classWeights: Readonly<Record<Priority, number>> = { interactive: 8, batch: 1 };
const weightOf = (tenantId: string, priority: Priority) =>
  classWeights[priority] * (tenantId === "heavy" ? 3 : 1);

type Arrival = Pick<FairItem, "tenantId" | "priority" | "cost">;

const make = (strictClasses = false, edf = false) =>
  new FairQueue<FairItem>({ edf, strictClasses, weightOf });

const itemOf = (arrival: Arrival, ordinal: number): FairItem => ({
  deadlineAtMs: (ordinal * 7) % 13,
  promptTokens: arrival.cost - 1,
  outputTokens: 1,
  lane: ordinal % 3 === 0 ? "pin x" : "",
  ...arrival,
  ordinal,
});

function serveSome(queue: FairQueue<FairItem>, handles: Map<FairItem, QueueHandle<FairItem>>, count: number) {
  const served: number[] = [];
  for (let i = 0; i < count; i++) {
    const next = queue.next(() => true);
    if (next === undefined) break;
    queue.serve(handles.get(next) as QueueHandle<FairItem>);
    served.push(next.ordinal);
  }
  return served;
}

const cost = fc.integer({ min: 1, max: 60 });
const arrival = fc.record({
  tenantId: fc.constantFrom("light", "heavy", "other"),
  priority: fc.constantFrom<Priority>("interactive", "batch"),
  cost,
});
const arrivals = fc.array(arrival, { minLength: 1, maxLength: 60 });
const mode = fc.record({ strictClasses: fc.boolean(), edf: fc.boolean() });

test("ahead() counts exactly what items() shows before a newcomer of the only flow", () => {
  fc.assert(
    fc.property(fc.array(cost), (costs) => {
      const queue = make();
      const only = { tenantId: "light", priority: "batch" } as const;
      for (const [i, cost] of costs.entries()) queue.push(itemOf({ ...only, cost }, i));
      const tokens = costs.reduce((sum, cost) => sum + cost - 1, 0);
      assert.deepEqual(queue.ahead("light", "batch"), {
        position: costs.length,
        items: costs.length,
        promptTokens: tokens,
        outputTokens: costs.length,
        overtakable: true,
      });
    }),
  );
});

test("ahead() is off by at most one item of each other flow when all items are equally large", () => {
  fc.assert(
    fc.property(arrivals, arrival, fc.boolean(), fc.nat(20), (given, newcomer, strictClasses, served) => {
      const queue = make(strictClasses);
      const handles = new Map<FairItem, QueueHandle<FairItem>>();
      for (const [i, each] of given.entries()) {
        const item = itemOf({ ...each, cost: 10 }, i);
        handles.set(item, queue.push(item));
      }
      serveSome(queue, handles, served);
      const ahead = queue.ahead(newcomer.tenantId, newcomer.priority);
      queue.push(itemOf({ ...newcomer, cost: 10 }, 1000));
      const before = [...queue.items()];
      before.splice(before.findIndex(({ ordinal }) => ordinal === 1000));
      const sameClass = before.filter(({ priority }) => priority === newcomer.priority);
      assert.ok(Math.abs(ahead.items - before.length) <= 5, `${ahead.items} for ${before.length}`);
      assert.ok(
        Math.abs(ahead.position - sameClass.length) <= 2,
        `${ahead.position} for ${sameClass.length}`,
      );
      assert.equal(ahead.promptTokens, ahead.items * 9);
    }),
  );
});

test("what leaves before an item, of whichever class or of one, is off by at most one item of each other flow", () => {
  fc.assert(
    fc.property(arrivals, fc.nat(70), fc.boolean(), fc.nat(20), (given, at, strictClasses, served) => {
      const queue = make(strictClasses);
      const handles = new Map<FairItem, QueueHandle<FairItem>>();
      for (const [i, each] of given.entries()) {
        const item = itemOf({ ...each, cost: 10 }, i);
        handles.set(item, queue.push(item));
      }
      serveSome(queue, handles, served);
      const order = [...queue.items()];
      const place = 1 + (at % Math.max(1, order.length));
      const any = queue.leavingBefore(place, order.length, undefined);
      if (order.length > 0) assert.equal(any.items, place - 1);
      assert.ok(Math.abs(any.promptTokens - any.items * 9) < 1e-6);
      for (const priority of ["interactive", "batch"] as const) {
        const own = order.filter((item) => item.priority === priority);
        if (own.length === 0) continue;
        const first = order.indexOf(own[0] as FairItem);
        assert.ok(Math.abs(queue.leavingBefore(1, own.length, priority).items - first) <= 5, `${first}`);
      }
    }),
  );
});

test("items of one pool among others are taken as spread evenly", () => {
  const queue = make();
  for (let i = 0; i < 9; i++) queue.push(itemOf({ tenantId: "light", priority: "batch", cost: 10 }, i));
  assert.deepEqual(
    [1, 2, 4].map((place) => queue.leavingBefore(place, 4, undefined).items),
    [1, 3, 7],
  );
});

test("strict classes: nothing of a lower class is ahead, all of a higher one is", () => {
  const queue = make(true);
  for (let i = 0; i < 6; i++) {
    queue.push(itemOf({ tenantId: "light", priority: i < 2 ? "interactive" : "batch", cost: 10 }, i));
  }
  assert.equal(queue.ahead("other", "interactive").items, 1);
  assert.equal(queue.ahead("light", "interactive").items, 2);
  assert.equal(queue.ahead("light", "batch").items, 6);
  assert.equal(queue.ahead("light", "batch").position, 4);
});

test("a newcomer may be overtaken by later work only when all that waits in other classes is ahead of it", () => {
  const queue = make();
  const push = (count: number, priority: Priority, cost: number) => {
    for (let i = 0; i < count; i++) queue.push(itemOf({ tenantId: "light", priority, cost }, i));
  };
  assert.equal(queue.ahead("light", "batch").overtakable, true);
  push(3, "interactive", 10);
  push(5, "batch", 10);
  assert.equal(queue.ahead("light", "batch").overtakable, true);
  push(500, "interactive", 10);
  assert.equal(queue.ahead("light", "batch").overtakable, false);
});

test("a restored queue leaves in the same order, now and after whatever comes next", () => {
  fc.assert(
    fc.property(arrivals, arrivals, fc.nat(30), mode, (first, later, count, { strictClasses, edf }) => {
      const queue = make(strictClasses, edf);
      const handles = new Map<FairItem, QueueHandle<FairItem>>();
      const push = (to: FairQueue<FairItem>, of: Map<FairItem, QueueHandle<FairItem>>, item: FairItem) =>
        of.set(item, to.push(item));
      for (const [i, each] of first.entries()) push(queue, handles, itemOf(each, i));
      serveSome(queue, handles, count);
      const copy = make(strictClasses, edf);
      const items = [...queue.items()];
      const restored = copy.restore(JSON.parse(JSON.stringify(queue.snapshot())), items);
      assert.deepEqual(copy.snapshot(), queue.snapshot());
      const copied = new Map(items.map((item, i) => [item, restored[i] as QueueHandle<FairItem>]));
      for (const [i, each] of later.entries()) {
        const item = itemOf(each, 1000 + i);
        push(queue, handles, item);
        push(copy, copied, item);
        assert.deepEqual(serveSome(copy, copied, i % 3), serveSome(queue, handles, i % 3));
      }
      assert.deepEqual(serveSome(copy, copied, 999), serveSome(queue, handles, 999));
      assert.deepEqual(copy.snapshot(), queue.snapshot());
    }),
  );
});

test("a class is not held up by what it was served under the other rule", () => {
  const strict = make(true);
  const batch = { tenantId: "light", priority: "batch" } as const;
  const handles = new Map<FairItem, QueueHandle<FairItem>>();
  for (let i = 0; i < 20; i++) {
    const item = itemOf({ ...batch, cost: 1000 }, i);
    handles.set(item, strict.push(item));
  }
  serveSome(strict, handles, 10);
  const items = [...strict.items()];
  for (let i = 100; i < 200; i++) {
    items.push(itemOf({ tenantId: "light", priority: "interactive", cost: 1000 }, i));
  }
  const fair = make(false);
  const again = fair.restore(strict.snapshot(), items);
  const order = serveSome(
    fair,
    new Map(items.map((item, i) => [item, again[i] as QueueHandle<FairItem>])),
    18,
  );
  assert.equal(order.filter((ordinal) => ordinal < 100).length, 2);
});

test("tenants without work are forgotten once nobody could tell", () => {
  const queue = make();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 1500; i++) {
      const handle = queue.push(itemOf({ tenantId: `${round} ${i}`, priority: "batch", cost: 5 }, i));
      if (i % 2 === 0) queue.serve(handle);
      else queue.remove(handle);
    }
    assert.ok(queue.snapshot().flows.length <= 1025);
  }
});
