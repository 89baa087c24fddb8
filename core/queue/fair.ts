// Weighted fair order between flows, one per tenant and class, by start-time fair queuing. A flow's tag is
// the virtual time at which its next item may start; the smallest tag is served, and serving an item moves
// the tag on by cost ÷ weight. So two flows that both have work differ by at most c_f/w_f + c_g/w_g in
// charged cost, whatever the weights. Inside a flow another queue rules. The virtual time is the largest tag
// served so far: a flow that was empty, or could not run, starts there and brings no credit along.

import { Priority } from "@llama-orch/contract";
import { earlierDeadline, edf } from "./edf.ts";
import { Fifo } from "./fifo.ts";
import { Heap } from "./heap.ts";
import type { Ordered, Queue, QueueHandle } from "./queue.ts";

export interface FairItem extends Ordered {
  readonly tenantId: string;
  readonly priority: Priority;
  /** More than nothing: what its flow is charged when it is served. */
  readonly cost: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Items that may run in the same places; one that cannot run must not hold up those of another lane. */
  readonly lane: string;
}

export interface FairOptions {
  readonly edf: boolean;
  /** Classes before weights: nothing of a lower class is served while a higher one can run. */
  readonly strictClasses: boolean;
  readonly weightOf: (tenantId: string, priority: Priority) => number;
}

/** Items that leave before another one, together. */
export interface Before {
  items: number;
  promptTokens: number;
  outputTokens: number;
}

/** What stands ahead of a newcomer in fair order. */
export interface Ahead extends Before {
  /** Items of the same class that leave before it. */
  position: number;
  /** All waiting work of other classes is among it: what they send from now on may still overtake. */
  overtakable: boolean;
}

export interface FairSnapshot {
  /** Tags of classes with clocks of their own say nothing under a common clock, nor the other way round. */
  readonly strictClasses: boolean;
  readonly virtualTimes: readonly number[];
  readonly flows: readonly { readonly tenantId: string; readonly rank: number; readonly tag: number }[];
}

interface Flow<T> {
  readonly tenantId: string;
  readonly rank: number;
  readonly weight: number;
  tag: number;
  size: number;
  cost: number;
  promptTokens: number;
  outputTokens: number;
  readonly lanes: Map<string, Queue<T>>;
  /** Present while the flow has work. */
  handle: QueueHandle<Flow<T>> | undefined;
}

interface Step<T> {
  readonly flow: Flow<T>;
  readonly tag: number;
  readonly item: T;
  readonly rest: Iterator<T>;
}

/** Flows without work that may gather before those with nothing left to remember are swept. */
const idleFlowsMax = 1024;

export class FairQueue<T extends FairItem> {
  readonly #options: FairOptions;
  /** By rank of the class, then by tenant. */
  readonly #flows: readonly Map<string, Flow<T>>[] = Priority.enum.map(() => new Map());
  readonly #backlogged: Heap<Flow<T>>;
  /** One clock per class; all the same clock unless classes are strict and so never compete. */
  readonly #virtualTimes: number[] = Priority.enum.map(() => 0);
  /** The largest tag of each clock's flows. */
  readonly #latest: number[] = Priority.enum.map(() => 0);
  #idleFlows = 0;
  #sweepAbove = idleFlowsMax;
  #size = 0;

  constructor(options: FairOptions) {
    this.#options = options;
    this.#backlogged = new Heap((a, b) => this.#before(a, a.tag, b, b.tag));
  }

  get size(): number {
    return this.#size;
  }

  /** The handle is good until the item has left. */
  push(item: T): QueueHandle<T> {
    const flow = this.#flow(item.tenantId, Priority.enum.indexOf(item.priority));
    if (flow.handle === undefined) {
      this.#idleFlows--;
      flow.tag = Math.max(flow.tag, this.#clock(flow));
      flow.handle = this.#backlogged.push(flow);
    }
    this.#count(flow, item, 1);
    return this.#lane(flow, item.lane).push(item);
  }

  /** Takes an item out without charging its flow: it was cancelled, evicted or moved. */
  remove(handle: QueueHandle<T>): boolean {
    if (this.#takeOut(handle) === undefined) return false;
    this.#forget();
    return true;
  }

  /** Takes an item out to be served and charges its flow. */
  serve(handle: QueueHandle<T>): void {
    const flow = this.#takeOut(handle);
    if (flow === undefined) return;
    const start = Math.max(flow.tag, this.#clock(flow));
    const clock = this.#clockOf(flow.rank);
    this.#virtualTimes[clock] = start;
    flow.tag = start + handle.item.cost / flow.weight;
    this.#latest[clock] = Math.max(this.#latest[clock] as number, flow.tag);
    if (flow.handle !== undefined) this.#backlogged.moved(flow.handle);
    this.#forget();
  }

  /** The first item in fair order that `mayRun` accepts. Only heads are asked: order inside a lane holds. */
  next(mayRun: (item: T) => boolean): T | undefined {
    const first = this.#backlogged.peek();
    if (first === undefined) return undefined;
    const head = this.#head(first, mayRun);
    if (head !== undefined || this.#backlogged.size === 1) return head;
    for (const flow of this.#backlogged.items()) {
      const item = flow === first ? undefined : this.#head(flow, mayRun);
      if (item !== undefined) return item;
    }
    return undefined;
  }

  /** What would leave before an item that came now. O(flows). */
  ahead(tenantId: string, priority: Priority): Ahead {
    const rank = Priority.enum.indexOf(priority);
    const own = this.#flows[rank]?.get(tenantId);
    const weight = own?.weight ?? this.#options.weightOf(tenantId, priority);
    const clock = this.#virtualTimes[this.#clockOf(rank)] as number;
    const tag = Math.max(own?.tag ?? 0, clock) + (own?.cost ?? 0) / weight;
    const total = { position: 0, items: 0, promptTokens: 0, outputTokens: 0, overtakable: true };
    for (const flows of this.#flows) {
      for (const flow of flows.values()) {
        if (flow.size === 0) continue;
        const items = flow === own ? flow.size : this.#itemsBefore(flow, tag, rank, tenantId);
        if (flow.rank === rank) total.position += items;
        else if (items < flow.size) total.overtakable = false;
        addPart(total, flow, items);
      }
    }
    return total;
  }

  /**
   * What would leave before the `place`-th of `among` items, counted from 1, which are spread evenly over
   * those of a class, or over all. O(flows).
   */
  leavingBefore(place: number, among: number, priority: Priority | undefined): Before {
    const own = this.#together(priority);
    const ahead = Math.round((place * (own.size + 1)) / (among + 1)) - 1;
    const items = Math.min(own.size, Math.max(0, ahead));
    const share = own.size === 0 ? 0 : items / own.size;
    const { promptTokens, outputTokens } = own;
    const total = { items, promptTokens: promptTokens * share, outputTokens: outputTokens * share };
    if (priority === undefined || own.size === 0) return total;
    const tag = own.tag + (own.cost * share) / own.weight;
    const rank = Priority.enum.indexOf(priority);
    for (const [other, flows] of this.#flows.entries()) {
      if (other === rank) continue;
      for (const flow of flows.values()) {
        if (flow.size > 0) addPart(total, flow, this.#itemsBefore(flow, tag, rank, ""));
      }
    }
    return total;
  }

  /** The flows with work of a class, or all of them, taken together; the tag is that of the first. */
  #together(priority: Priority | undefined) {
    const sum = { size: 0, cost: 0, promptTokens: 0, outputTokens: 0, weight: 0, tag: Infinity };
    const rank = priority === undefined ? undefined : Priority.enum.indexOf(priority);
    for (const flow of this.#backlogged.items()) {
      if (rank !== undefined && flow.rank !== rank) continue;
      sum.size += flow.size;
      sum.cost += flow.cost;
      sum.promptTokens += flow.promptTokens;
      sum.outputTokens += flow.outputTokens;
      sum.weight += flow.weight;
      sum.tag = Math.min(sum.tag, Math.max(flow.tag, this.#clock(flow)));
    }
    return sum;
  }

  /** All items in the order in which they would leave if nothing else came and all could run. */
  *items(): Iterable<T> {
    const order = new Heap<Step<T>>((a, b) => this.#before(a.flow, a.tag, b.flow, b.tag));
    const clocks = [...this.#virtualTimes];
    const enter = (flow: Flow<T>, tag: number, rest: Iterator<T>) => {
      const step = rest.next();
      if (!step.done) order.push({ flow, tag, item: step.value, rest });
    };
    for (const flow of this.#backlogged.items()) enter(flow, flow.tag, this.#walk(flow));
    for (let step = order.pop(); step !== undefined; step = order.pop()) {
      yield step.item;
      const clock = this.#clockOf(step.flow.rank);
      const start = Math.max(step.tag, clocks[clock] as number);
      clocks[clock] = start;
      enter(step.flow, start + step.item.cost / step.flow.weight, step.rest);
    }
  }

  snapshot(): FairSnapshot {
    const flows = this.#flows.flatMap((byTenant) => [...byTenant.values()]);
    return {
      strictClasses: this.#options.strictClasses,
      virtualTimes: [...this.#virtualTimes],
      flows: flows.map(({ tenantId, rank, tag }) => ({ tenantId, rank, tag })),
    };
  }

  /** Into an empty queue that is new: the same items in the same order, with the tags they had. */
  restore(snapshot: FairSnapshot, items: Iterable<T>): QueueHandle<T>[] {
    for (const { tenantId, rank } of snapshot.flows) this.#flow(tenantId, rank);
    const handles = [...items].map((item) => this.push(item));
    if (snapshot.strictClasses !== this.#options.strictClasses) return handles;
    for (const [clock, time] of snapshot.virtualTimes.entries()) {
      this.#virtualTimes[clock] = time;
      this.#latest[clock] = time;
    }
    for (const { tenantId, rank, tag } of snapshot.flows) {
      const flow = this.#flow(tenantId, rank);
      const clock = this.#clockOf(rank);
      flow.tag = tag;
      this.#latest[clock] = Math.max(this.#latest[clock] as number, tag);
      if (flow.handle !== undefined) this.#backlogged.moved(flow.handle);
    }
    return handles;
  }

  #flow(tenantId: string, rank: number): Flow<T> {
    const flows = this.#flows[rank] as Map<string, Flow<T>>;
    let flow = flows.get(tenantId);
    if (flow === undefined) {
      const weight = this.#options.weightOf(tenantId, Priority.enum[rank] as Priority);
      const empty = { tag: 0, size: 0, cost: 0, promptTokens: 0, outputTokens: 0, handle: undefined };
      flow = { tenantId, rank, weight, ...empty, lanes: new Map() };
      flows.set(tenantId, flow);
      this.#idleFlows++;
    }
    return flow;
  }

  #lane(flow: Flow<T>, name: string): Queue<T> {
    let lane = flow.lanes.get(name);
    if (lane === undefined) {
      lane = this.#options.edf ? edf<T>() : new Fifo<T>();
      flow.lanes.set(name, lane);
    }
    return lane;
  }

  #count(flow: Flow<T>, item: T, sign: 1 | -1): void {
    this.#size += sign;
    flow.size += sign;
    flow.cost += sign * item.cost;
    flow.promptTokens += sign * item.promptTokens;
    flow.outputTokens += sign * item.outputTokens;
  }

  #clock(flow: Flow<T>): number {
    return this.#virtualTimes[this.#clockOf(flow.rank)] as number;
  }

  #clockOf(rank: number): number {
    return this.#options.strictClasses ? rank : 0;
  }

  #before(a: Flow<T>, aTag: number, b: Flow<T>, bTag: number): boolean {
    if (this.#options.strictClasses && a.rank !== b.rank) return a.rank < b.rank;
    if (aTag !== bTag) return aTag < bTag;
    return a.rank !== b.rank ? a.rank < b.rank : a.tenantId < b.tenantId;
  }

  #first(a: T, b: T): boolean {
    return this.#options.edf ? earlierDeadline(a, b) : a.ordinal < b.ordinal;
  }

  #head(flow: Flow<T>, mayRun: (item: T) => boolean): T | undefined {
    const heads: T[] = [];
    for (const lane of flow.lanes.values()) {
      const item = lane.peek();
      if (item !== undefined) heads.push(item);
    }
    // Asking may draw lots, so the order of asking must not depend on when a lane appeared.
    if (heads.length > 1) heads.sort((a, b) => (this.#first(a, b) ? -1 : 1));
    return heads.find(mayRun);
  }

  *#walk(flow: Flow<T>): Iterator<T> {
    const lanes = [...flow.lanes.values()].map((lane) => lane.items()[Symbol.iterator]());
    const heads = lanes.map((lane) => lane.next());
    for (;;) {
      let at = -1;
      for (const [i, head] of heads.entries()) {
        const best = heads[at];
        if (!head.done && (best === undefined || this.#first(head.value, best.value))) at = i;
      }
      const head = heads[at];
      if (head === undefined || head.done) return;
      yield head.value;
      heads[at] = (lanes[at] as Iterator<T>).next() as IteratorResult<T, undefined>;
    }
  }

  /** How many items of another flow leave before one with this start tag, taking them as equally large. */
  #itemsBefore(flow: Flow<T>, tag: number, rank: number, tenantId: string): number {
    if (this.#options.strictClasses && flow.rank !== rank) return flow.rank < rank ? flow.size : 0;
    const start = Math.max(flow.tag, this.#clock(flow));
    const places = ((tag - start) * flow.weight * flow.size) / flow.cost;
    const winsTies = flow.rank !== rank ? flow.rank < rank : flow.tenantId < tenantId;
    const before = winsTies ? Math.floor(places) + 1 : Math.ceil(places);
    return Math.min(flow.size, Math.max(0, before));
  }

  /** Out of its flow, which is answered; undefined where the item has left before. */
  #takeOut(handle: QueueHandle<T>): Flow<T> | undefined {
    const { item } = handle;
    const flow = this.#flows[Priority.enum.indexOf(item.priority)]?.get(item.tenantId);
    const lane = flow?.lanes.get(item.lane);
    if (flow === undefined || lane?.remove(handle) !== true) return undefined;
    this.#count(flow, item, -1);
    if (lane.size === 0 && item.lane !== "") flow.lanes.delete(item.lane);
    if (flow.size === 0 && flow.handle !== undefined) {
      this.#backlogged.remove(flow.handle);
      flow.handle = undefined;
      this.#idleFlows++;
    }
    return flow;
  }

  /** When nothing waits nobody is owed anything: the clocks pass all tags, and all flows begin anew. */
  #forget(): void {
    if (this.#size === 0) {
      for (const [clock, tag] of this.#latest.entries()) this.#virtualTimes[clock] = tag;
    }
    if (this.#idleFlows > this.#sweepAbove) this.#sweep();
  }

  /** A flow whose tag the virtual time has passed is the same as one that never was. */
  #sweep(): void {
    for (const flows of this.#flows) {
      for (const [tenantId, flow] of flows) {
        if (flow.handle !== undefined || flow.tag > this.#clock(flow)) continue;
        flows.delete(tenantId);
        this.#idleFlows--;
      }
    }
    this.#sweepAbove = Math.max(idleFlowsMax, 2 * this.#idleFlows);
  }
}

/** Adds so many items of a flow, taking them as equally large. */
function addPart<T>(total: Before, flow: Flow<T>, items: number): void {
  total.items += items;
  total.promptTokens += (flow.promptTokens * items) / flow.size;
  total.outputTokens += (flow.outputTokens * items) / flow.size;
}
