// The other end of the thread that writes: it is given one message at a time, and whatever comes while that
// is on its way is the next group, one message and one sync for all. Order is kept.

import { AssertionError } from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { storageRefusal } from "../refusal.ts";
import { type DiskTrouble, remedyOf } from "./disk-trouble.ts";
import type { Call, Message, Refused, Reply, SweepLimits, WriterOptions } from "./messages.ts";

export interface WriterThreadOptions extends WriterOptions {
  /**
   * A bug: the thread has ended by itself, and nothing is kept any more; or, told once, a call was refused
   * for what it says.
   */
  readonly onTrouble: (error: Error) => void;
}

interface Waiting {
  readonly call: Call;
  readonly safe: PromiseWithResolvers<void>;
}

interface Sweeping {
  readonly limits: SweepLimits;
  readonly swept: PromiseWithResolvers<void>;
}

interface Closing extends PromiseWithResolvers<void> {
  readonly onSafe: () => void;
}

export class WriterThread {
  readonly #thread: Worker;
  readonly #onTrouble: (error: Error) => void;
  #waiting: Waiting[] = [];
  readonly #sweeps: Sweeping[] = [];
  /** What the message that is on its way was for. */
  #sent: readonly Waiting[] | Sweeping | undefined;
  /** What is to be sent waits for what comes with it. */
  #isGathering = false;
  #closing: Closing | undefined;
  #broken: AssertionError | undefined;
  #hasToldBug = false;

  constructor({ onTrouble, ...workerData }: WriterThreadOptions) {
    this.#onTrouble = onTrouble;
    // It holds one group at a time; what it needs besides is SQLite's own memory.
    const resourceLimits = { maxYoungGenerationSizeMb: 4 };
    const options = { name: "store", workerData, resourceLimits };
    this.#thread = new Worker(new URL("./writer.js", import.meta.url), options);
    this.#thread.on("message", (reply: Reply) => this.#heard(reply));
    this.#thread.on("error", (error: Error) => this.#ended(error));
    this.#thread.on("exit", (code) => this.#ended(new Error(`It left with exit code ${code}.`)));
    // A process stays for what is on its way, and for nothing else.
    this.#thread.unref();
  }

  /** Resolves when the call is safe. Whoever calls earlier is written earlier. */
  write(call: Call): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    if (this.#closing !== undefined) return Promise.reject(storageRefusal("it was closed"));
    const safe = Promise.withResolvers<void>();
    this.#waiting.push({ call, safe });
    this.#next();
    return safe.promise;
  }

  sweep(limits: SweepLimits): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    if (this.#closing !== undefined) return Promise.resolve();
    const swept = Promise.withResolvers<void>();
    this.#sweeps.push({ limits, swept });
    this.#next();
    return swept.promise;
  }

  /**
   * Resolves when everything given before is safe and the thread has gone.
   * @param onSafe between the two; its connection should be the last one, which tidies up
   */
  async close(onSafe: () => void): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = { ...Promise.withResolvers<void>(), onSafe };
      for (const { swept } of this.#sweeps.splice(0)) swept.resolve();
      this.#next();
    }
    if (this.#broken === undefined) await this.#closing.promise;
    else onSafe();
  }

  /** What one event causes goes together, and soon: somebody waits for the answer. */
  #next(): void {
    if (this.#sent === undefined) this.#gather(queueMicrotask);
  }

  #gather(until: (send: () => void) => void): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    until(() => {
      this.#isGathering = false;
      this.#sendNext();
    });
  }

  #sendNext(): void {
    if (this.#broken !== undefined) return;
    if (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      return this.#send(group, { kind: "group", calls: group.map(({ call }) => call) });
    }
    const sweeping = this.#sweeps[0];
    if (sweeping !== undefined) return this.#send(sweeping, { kind: "sweep", limits: sweeping.limits });
    if (this.#closing !== undefined) return void this.#leave(this.#closing);
    this.#thread.unref();
  }

  #send(sent: readonly Waiting[] | Sweeping, message: Message): void {
    this.#sent = sent;
    this.#thread.ref();
    this.#thread.postMessage(message);
  }

  async #leave(closing: Closing): Promise<void> {
    closing.onSafe();
    this.#sent = [];
    this.#thread.removeAllListeners();
    this.#thread.ref();
    const exited = once(this.#thread, "exit");
    this.#thread.postMessage({ kind: "close" } satisfies Message);
    try {
      await exited;
      closing.resolve();
    } catch (error) {
      closing.reject(error);
    }
  }

  #heard(reply: Reply): void {
    const sent = this.#sent;
    this.#sent = undefined;
    if (reply.kind === "written") this.#settle(sent as readonly Waiting[], reply.refused);
    else this.#swept(sent as Sweeping, reply);
    // A message costs ten times what a call in it does: under load it takes all that this turn brings.
    this.#gather(setImmediate);
  }

  #settle(group: readonly Waiting[], refused: ReadonlyMap<number, Refused>): void {
    for (const [at, { safe }] of group.entries()) {
      const why = refused.get(at);
      if (why === undefined) safe.resolve();
      else if ("bug" in why) safe.reject(this.#bug(why.bug));
      else safe.reject(refusalFor(why));
    }
  }

  #bug(what: string): AssertionError {
    const bug = new AssertionError({ message: `The store was told what it cannot keep: ${what}` });
    if (!this.#hasToldBug) this.#onTrouble(bug);
    this.#hasToldBug = true;
    return bug;
  }

  #swept({ swept }: Sweeping, reply: Exclude<Reply, { kind: "written" }>): void {
    if (reply.kind === "swept" && reply.more) return;
    this.#sweeps.shift();
    if (reply.kind === "swept") swept.resolve();
    else swept.reject(refusalFor(reply.trouble));
  }

  #ended(cause: Error): void {
    if (this.#broken !== undefined) return;
    const message = `The thread that writes the store has ended: ${cause.message}`;
    const broken = new AssertionError({ message });
    broken.cause = cause;
    this.#broken = broken;
    const sent = Array.isArray(this.#sent) ? (this.#sent as readonly Waiting[]) : [];
    for (const { safe } of [...sent, ...this.#waiting.splice(0)]) safe.reject(broken);
    for (const { swept } of this.#sweeps.splice(0)) swept.reject(broken);
    this.#closing?.onSafe();
    this.#closing?.resolve();
    this.#onTrouble(broken);
  }
}

const refusalFor = (trouble: DiskTrouble) => storageRefusal(trouble.reason, undefined, remedyOf(trouble));
