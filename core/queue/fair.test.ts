import assert from "node:assert/strict";
import { test } from "node:test";
import type { Priority } from "@llama-orch/contract";
import fc from "fast-check";
import { type FairItem, FairQueue } from "./fair.ts";
import type { QueueHandle } from "./queue.ts";

interface Item extends FairItem {
  readonly name: string;
}

const classWeights: Readonly<Record<Priority, number>> = { interactive: 8, batch: 1 };
const weights: Readonly<Record<string, number>> = { a: 1, b: 3, c: 0.5 };
const weightOf = (tenantId: string, priority: Priority) => classWeights[priority] * (weights[tenantId] ?? 1);

interface Options {
  readonly edf?: boolean;
  readonly strictClasses?: boolean;
}

function fair({ edf = false, strictClasses = false }: Options = {}): FairQueue<Item> {
  return new FairQueue<Item>({ edf, strictClasses, weightOf });
}

let ordinals = 0;

function item(fields: Partial<Item> = {}): Item {
  const ordinal = ordinals++;
  const cost = fields.cost ?? 10;
  return {
    name: `#${ordinal}`,
    ordinal,
    deadlineAtMs: 1000,
    tenantId: "a",
    priority: "interactive",
    cost,
    promptTokens: cost - 1,
    outputTokens: 1,
    lane: "",
    ...fields,
  };
}

const flowOf = ({ tenantId, priority }: Item) => `${tenantId} ${priority}`;

/** A queue with its handles, and the plain way to ask it for the next item. */
class Line {
  readonly handles = new Map<Item, QueueHandle<Item>>();
  readonly queue: FairQueue<Item>;

  constructor(options: Options = {}) {
    this.queue = fair(options);
  }

  push(fields: Partial<Item> = {}): Item {
    const pushed = item(fields);
    this.handles.set(pushed, this.queue.push(pushed));
    return pushed;
  }

  remove(gone: Item): boolean {
    return this.queue.remove(this.handles.get(gone) as QueueHandle<Item>);
  }

  serve(mayRun: (item: Item) => boolean = () => true): Item | undefined {
    const next = this.queue.next(mayRun);
    if (next !== undefined) this.queue.serve(this.handles.get(next) as QueueHandle<Item>);
    return next;
  }

  serveAll(): Item[] {
    const served: Item[] = [];
    for (let next = this.serve(); next !== undefined; next = this.serve()) served.push(next);
    return served;
  }
}

const priority = fc.constantFrom<Priority>("interactive", "batch");
const tenantId = fc.constantFrom("a", "b", "c");
const arrival = fc.record({
  tenantId,
  priority,
  cost: fc.integer({ min: 1, max: 100 }),
  deadlineAtMs: fc.nat(50),
});
const lanes = fc.constantFrom("", "", "pin x");
const options = fc.record({ edf: fc.boolean(), strictClasses: fc.boolean() });

test("two flows that both have work differ by at most c_f/w_f + c_g/w_g over any interval [ORCH-3075]", () => {
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 20 }), fc.array(arrival, { minLength: 60 }), (first, rest) => {
      const line = new Line();
      const waiting = new Map<string, number>();
      const charged = new Map<string, number>();
      const most = new Map<string, number>();
      for (const { tenantId, priority, cost } of [...first, ...rest]) {
        const flow = `${tenantId} ${priority}`;
        most.set(flow, Math.max(most.get(flow) ?? 0, cost / weightOf(tenantId, priority)));
      }
      const come = (fields: Partial<Item>) => {
        const flow = flowOf(line.push(fields));
        waiting.set(flow, (waiting.get(flow) ?? 0) + 1);
      };
      /** For each two flows: what one was charged more than the other, since both have had work. */
      const spans = new Map<string, { now: number; least: number; greatest: number }>();
      for (const fields of first) come(fields);
      for (const fields of rest) {
        come(fields);
        const served = line.serve() as Item;
        const flow = flowOf(served);
        const share = served.cost / weightOf(served.tenantId, served.priority);
        charged.set(flow, (charged.get(flow) ?? 0) + share);
        for (const f of most.keys()) {
          for (const g of most.keys()) {
            const both = (waiting.get(f) ?? 0) > 0 && (waiting.get(g) ?? 0) > 0;
            if (f >= g || !both) {
              spans.delete(`${f}/${g}`);
              continue;
            }
            const span = spans.get(`${f}/${g}`) ?? { now: 0, least: 0, greatest: 0 };
            span.now += flow === f ? share : flow === g ? -share : 0;
            span.least = Math.min(span.least, span.now);
            span.greatest = Math.max(span.greatest, span.now);
            spans.set(`${f}/${g}`, span);
            const bound = (most.get(f) as number) + (most.get(g) as number);
            assert.ok(span.greatest - span.least <= bound + 1e-9, `${f} and ${g} differ by too much`);
          }
        }
        waiting.set(flow, (waiting.get(flow) as number) - 1);
      }
    }),
  );
});

test("interactive work weighs 8 and batch 1: of equal tasks 8 of 9 are interactive [ORCH-3075, OC-CORE-1004]", () => {
  const line = new Line();
  for (let i = 0; i < 90; i++)
    for (const priority of ["interactive", "batch"] as const) line.push({ priority });
  const served = Array.from({ length: 90 }, () => line.serve()?.priority);
  assert.equal(served.filter((priority) => priority === "batch").length, 10);
});

test("a batch head waits for no more than its cost ÷ w_batch × w_interactive of other work [ORCH-3078]", () => {
  const cost = fc.integer({ min: 1, max: 200 });
  fc.assert(
    fc.property(cost, fc.array(cost, { minLength: 400, maxLength: 400 }), (batchCost, costs) => {
      const line = new Line();
      for (let i = 0; i < 4; i++) line.push({ priority: "batch", cost: batchCost });
      for (const cost of costs) line.push({ cost });
      let before = 0;
      for (let batches = 0; batches < 4; ) {
        const served = line.serve() as Item;
        if (served.priority === "interactive") {
          assert.ok(before <= batchCost * 8, `${before} went before a batch task of ${batchCost}`);
          before += served.cost;
        } else {
          batches++;
          before = 0;
        }
        if (line.queue.next((item) => item.priority === "interactive") === undefined) break;
      }
    }),
  );
});

test("inside a flow the first in is the first out, whatever leaves from the middle [ORCH-3004, OC-CORE-1004]", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(arrival, fc.boolean())), (arrivals) => {
      const line = new Line();
      const pushed = arrivals.map(([fields, stays]) => ({ item: line.push(fields), stays }));
      for (const { item, stays } of pushed) if (!stays) assert.equal(line.remove(item), true);
      const served = line.serveAll();
      assert.equal(served.length, pushed.filter(({ stays }) => stays).length);
      const flows = Object.values(Object.groupBy(served, flowOf)) as Item[][];
      for (const flow of flows) {
        const came = flow.map(({ ordinal }) => ordinal);
        assert.deepEqual(
          came,
          [...came].sort((x, y) => x - y),
        );
      }
    }),
  );
});

test("deadlines rule inside a flow only with edf; without it order of arrival does [ORCH-3082]", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(arrival, lanes)), fc.boolean(), (arrivals, edf) => {
      const line = new Line({ edf });
      for (const [fields, lane] of arrivals) line.push({ ...fields, lane });
      const flows = Object.values(Object.groupBy(line.serveAll(), flowOf)) as Item[][];
      for (const flow of flows) {
        const expected = [...flow].sort(
          (x, y) => (edf ? x.deadlineAtMs - y.deadlineAtMs : 0) || x.ordinal - y.ordinal,
        );
        assert.deepEqual(flow, expected);
      }
    }),
  );
});

test("with strict classes no batch task is served while an interactive one waits [OC-CORE-1004]", () => {
  fc.assert(
    fc.property(fc.array(arrival, { minLength: 5 }), fc.array(arrival), (first, later) => {
      const line = new Line({ strictClasses: true });
      const waiting = first.map((fields) => line.push(fields));
      const rest = later.map((fields) => fields);
      for (let served = line.serve(); served !== undefined; served = line.serve()) {
        waiting.splice(waiting.indexOf(served), 1);
        if (served.priority === "batch") assert.ok(waiting.every((item) => item.priority === "batch"));
        const next = rest.pop();
        if (next !== undefined) waiting.push(line.push(next));
      }
    }),
  );
});

test("with strict classes tenants still share each class by their weights", () => {
  const line = new Line({ strictClasses: true });
  for (let i = 0; i < 40; i++) for (const tenantId of ["a", "b"]) line.push({ tenantId, priority: "batch" });
  const served = Array.from({ length: 40 }, () => line.serve()?.tenantId);
  assert.equal(served.filter((tenantId) => tenantId === "b").length, 30);
});

test("items that may not run hold up neither other lanes nor other flows", () => {
  const line = new Line();
  const pinned = line.push({ lane: "pin x" });
  const free = line.push();
  const later = line.push({ lane: "pin x" });
  const other = line.push({ tenantId: "b" });
  const mayRun = ({ lane }: Item) => lane === "";
  assert.equal(line.serve(mayRun), free);
  assert.equal(line.serve(mayRun), other);
  assert.equal(line.serve(mayRun), undefined);
  assert.deepEqual(line.serveAll(), [pinned, later]);
});

test("inside a lane order holds: what stands behind a head that may not run is not even asked", () => {
  const line = new Line();
  const head = line.push();
  line.push();
  assert.equal(
    line.serve((item) => item !== head),
    undefined,
  );
});

test("a flow that could not run gathers no credit while others were served", () => {
  const line = new Line();
  for (let i = 0; i < 20; i++) line.push({ tenantId: "a", lane: "pin x" });
  for (let i = 0; i < 60; i++) line.push({ tenantId: "d" });
  for (let i = 0; i < 40; i++) assert.equal(line.serve(({ lane }) => lane === "")?.tenantId, "d");
  const next = Array.from({ length: 10 }, () => line.serve()?.tenantId);
  assert.ok(next.filter((tenantId) => tenantId === "a").length <= 6, next.join(" "));
});

test("items() is the order in which all would be served, at any moment", () => {
  const steps = fc.array(fc.tuple(arrival, lanes, fc.constantFrom("push", "push", "serve", "free")), {
    minLength: 30,
    maxLength: 80,
  });
  fc.assert(
    fc.property(options, steps, (options, steps) => {
      const line = new Line(options);
      for (const [fields, lane, kind] of steps) {
        if (kind === "push") line.push({ ...fields, lane });
        else line.serve((item) => kind === "serve" || item.lane === "");
      }
      const shown = [...line.queue.items()];
      assert.equal(shown.length, line.queue.size);
      assert.deepEqual(shown, line.serveAll());
      assert.equal(line.queue.size, 0);
    }),
  );
});

test("a handle is good once: what has left is neither served nor removed again", () => {
  const line = new Line();
  const [first, second] = [line.push(), line.push()];
  assert.equal(line.serve(), first);
  const tags = line.queue.snapshot();
  assert.equal(line.remove(first), false);
  line.queue.serve(line.handles.get(first) as QueueHandle<Item>);
  assert.deepEqual(line.queue.snapshot(), tags);
  assert.deepEqual([...line.queue.items()], [second]);
});

test("a tenant is charged for what was served even when idle flows are swept at that moment", () => {
  const line = new Line();
  for (let i = 0; i < 1024; i++) {
    const tenantId = `idle ${i}`;
    line.remove(line.push({ tenantId }));
  }
  line.push({ tenantId: "big", cost: 8000 });
  line.push({ tenantId: "waits", cost: 10, lane: "x" });
  assert.equal(line.serve()?.tenantId, "big");
  const again = line.push({ tenantId: "big" });
  assert.equal(line.serve()?.tenantId, "waits");
  assert.equal(line.serve(), again);
});

test("tenants that come once do not gather, whatever their last task has cost", () => {
  const line = new Line();
  for (let i = 0; i < 5000; i++) {
    line.push({ tenantId: `once ${i}` });
    line.serve();
  }
  assert.ok(
    line.queue.snapshot().flows.length <= 1025,
    `${line.queue.snapshot().flows.length} flows are kept`,
  );
});
