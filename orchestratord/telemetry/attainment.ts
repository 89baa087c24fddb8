// How far each class keeps the objectives of its service level: what happened lately, measured as it happens
// and put into gauges when somebody scrapes. It sheds nothing; that is the core's breaker.

import { type OrchestratordConfig, Priority } from "@llama-orch/contract";
import type { AttemptEnded, Outcome } from "@llama-orch/core";
import type { TaskRecord } from "../task-record.ts";
import { CoarseWindow } from "./coarse-window.ts";
import type { MetricRegistry } from "./registry.ts";
import { Window } from "./window.ts";

export interface AttainmentOptions {
  readonly slo: OrchestratordConfig["slo"];
  readonly windowMs: number;
  readonly nowMs: () => number;
}

/** What the objective `tokens_64` counts up to. */
const tokensTimed = 64;

/** The nominal speed of a replica set is known by its attempts of a day, however many. */
const nominalWindowMs = 86_400_000;

/** An attempt that made less, or was done sooner, says nothing about a speed. */
const speedTokensMin = 16;
const speedMsMin = 10;

export class Attainment {
  readonly #slo: AttainmentOptions["slo"];
  readonly #window: () => Window;
  readonly #nowMs: () => number;
  readonly #failures: Record<Priority, Window>;
  /** 1 for each task that had its token in time, counted from its start, and 0 for each that had not. */
  readonly #firstTokens: Window;
  readonly #sixtyFours: Window;
  readonly #speeds = new Map<string, SetSpeed>();

  constructor({ slo, windowMs, nowMs }: AttainmentOptions) {
    this.#slo = slo;
    this.#nowMs = nowMs;
    this.#window = () => new Window(windowMs, nowMs);
    this.#failures = { interactive: this.#window(), batch: this.#window() };
    this.#firstTokens = this.#window();
    this.#sixtyFours = this.#window();
  }

  firstToken(priority: Priority, ms: number): void {
    if (priority !== "interactive") return;
    this.#firstTokens.add(ms <= this.#slo.interactive.first_token_p95_ms ? 1 : 0);
  }

  /** So many more tokens were delivered. What an earlier process began nobody here has timed. */
  delivered({ task, stream, startedAtMs, isRecovered }: TaskRecord, tokens: number): void {
    if (task.priority !== "interactive" || isRecovered || startedAtMs === undefined) return;
    const { tokensOut } = stream;
    if (tokensOut < tokensTimed || tokensOut - tokens >= tokensTimed) return;
    const ms = this.#nowMs() - startedAtMs;
    this.#sixtyFours.add(ms <= this.#slo.interactive.tokens_64_p95_ms ? 1 : 0);
  }

  /** @param setId of the replica that ran the attempt */
  attemptEnded(priority: Priority, setId: string, { attemptTokens, decodeMs }: AttemptEnded): void {
    if (attemptTokens < speedTokensMin || decodeMs < speedMsMin) return;
    let speed = this.#speeds.get(setId);
    if (speed === undefined) {
      speed = {
        all: new CoarseWindow(nominalWindowMs, this.#nowMs),
        batchTokens: this.#window(),
        batchMs: this.#window(),
      };
      this.#speeds.set(setId, speed);
    }
    speed.all.add(attemptTokens / decodeMs);
    if (priority !== "batch") return;
    speed.batchTokens.add(attemptTokens);
    speed.batchMs.add(decodeMs);
  }

  /**
   * A token that a failure kept from ever coming was not in time. Who cancels does not want it any more, and
   * one that is done has made what there was to make.
   */
  ended({ task, stream, firstTokenAtMs }: TaskRecord, kind: Outcome["kind"]): void {
    if (kind === "canceled") return;
    const isFailed = kind === "failed";
    this.#failures[task.priority].add(isFailed ? 1 : 0);
    // An embedding or a rerank has no tokens to wait for.
    if (!isFailed || task.priority !== "interactive" || task.workload !== "completion") return;
    const { tokensOut } = stream;
    if (firstTokenAtMs === undefined && tokensOut === 0) this.#firstTokens.add(0);
    // Who asked for fewer never had a 64th token to wait for.
    if (task.maxTokens >= tokensTimed && tokensOut < tokensTimed) this.#sixtyFours.add(0);
  }

  /** A class of which nothing is known lately keeps what it promises. */
  fill(registry: MetricRegistry): void {
    const set = (priority: Priority, objective: string, attained: number) =>
      registry.set("slo_attainment_ratio", { priority, objective }, attained);
    for (const priority of Priority.enum) {
      const well = 1 - (this.#failures[priority].mean ?? 0);
      set(priority, "errors", shareOf(1 - this.#slo[priority].error_rate, well));
    }
    set("interactive", "first_token", this.#firstTokens.mean ?? 1);
    set("interactive", "tokens_64", this.#sixtyFours.mean ?? 1);
    set("batch", "throughput", shareOf(this.#slo.batch.throughput_ratio, this.#throughput()));
  }

  /** Batch tokens made, of those that the nominal speeds of their replica sets would have made meanwhile. */
  #throughput(): number {
    let made = 0;
    let nominal = 0;
    for (const [setId, { all, batchTokens, batchMs }] of this.#speeds) {
      const tokensPerMs = all.percentile(nominalShare);
      if (tokensPerMs === null) this.#speeds.delete(setId);
      else {
        made += batchTokens.sum;
        nominal += batchMs.sum * tokensPerMs;
      }
    }
    return nominal === 0 ? 1 : made / nominal;
  }
}

/**
 * No engine says how fast it should be. So what a replica set is able to do counts: the speed of one stream
 * that only the fastest twentieth of its attempts beat.
 */
const nominalShare = 0.95;

/** Tokens per millisecond of a replica set. */
interface SetSpeed {
  readonly all: CoarseWindow;
  readonly batchTokens: Window;
  readonly batchMs: Window;
}

const shareOf = (wanted: number, is: number): number => (is >= wanted ? 1 : is / wanted);
