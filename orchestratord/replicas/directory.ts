// Which replica is where. Whoever runs engines announces them here; a replica that is ready is bound to an
// adapter, asked what it is, and reported to the core: as failed where it does not say, or where its pool
// does not take its version. Nothing else is decided here.

import type { Compute, ReplicaAnnouncement } from "@llama-orch/contract";
import type { ReplicaFacts } from "@llama-orch/core";
import type { Adapter, EngineAddress, EngineProps } from "@llama-orch/engines/adapter";
import type { Clock } from "../clock.ts";
import type { Happening } from "../loop.ts";
import { type VersionRule, versionProblem } from "./engine-version.ts";

export interface DirectoryOptions {
  readonly bind: (address: EngineAddress) => Adapter;
  readonly post: (happening: Happening) => void;
  readonly clock: Clock;
  /** How often a ready replica is asked what it is. */
  readonly pollMs: number;
  readonly expected: (poolId: string) => Expected;
}

/** What is configured of a pool. */
export interface Expected {
  /** Until a replica has said more. */
  readonly ctxMax: number;
  /** The most that are used of a replica. */
  readonly slotsTotal: number;
  /** Absent: any version is taken. */
  readonly versions?: VersionRule;
}

/** A replica as it can be used now. */
export interface BoundReplica {
  readonly announcement: ReplicaAnnouncement;
  readonly adapter: Adapter;
  readonly props: EngineProps;
}

interface Entry {
  announcement: ReplicaAnnouncement;
  adapter: Adapter | undefined;
  props: EngineProps | undefined;
  /** The version with which this process was taken; undefined before. */
  version: string | undefined;
  /** Why it is not taken, although it is ready. */
  refusal: string | undefined;
  /** Aborted as soon as the announcement is out of date. */
  binding: AbortController;
}

/** A ready engine that does not say what it is is asked again after this long, and then ever more rarely. */
const retryMs = 250;
const retryMaxMs = 10_000;
/** One missed answer may be a hiccup; so many in a row are not. */
const missesMax = 2;
const askMs = 5000;

export class Directory {
  readonly #options: DirectoryOptions;
  readonly #entries = new Map<string, Entry>();
  /** Asked for whenever what can be done may have changed. */
  #version = 0;
  #closed = false;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** Grows with every change, so that what is computed from here can be kept until then. */
  get version(): number {
    return this.#version;
  }

  announce(announcement: ReplicaAnnouncement): void {
    if (this.#closed) return;
    const key = keyOf(announcement.poolId, announcement.replicaId);
    const known = this.#entries.get(key);
    if (known !== undefined && announcement.epoch < known.announcement.epoch) return;
    this.#version++;
    const entry = this.#renew(key, known, announcement);
    if (announcement.phase === "ready") void this.#bind(entry);
    else this.#report(entry);
  }

  /** The replica of a dispatch, if that very process is still the one that serves. */
  find(poolId: string, replicaId: string, epoch: number): BoundReplica | undefined {
    const entry = this.#entries.get(keyOf(poolId, replicaId));
    return entry === undefined || entry.announcement.epoch !== epoch ? undefined : boundOf(entry);
  }

  /** Any ready replica of a pool: all of them count tokens alike. */
  anyOf(poolId: string): BoundReplica | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.announcement.poolId !== poolId) continue;
      const bound = boundOf(entry);
      if (bound !== undefined) return bound;
    }
    return undefined;
  }

  computeOf(poolId: string): Compute | undefined {
    return this.anyOf(poolId)?.props.compute;
  }

  get(poolId: string, replicaId: string): EngineProps | undefined {
    return this.#entries.get(keyOf(poolId, replicaId))?.props;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { binding } of entries) binding.abort();
    await Promise.all(entries.map(({ adapter }) => adapter?.close()));
  }

  /** The same process keeps its adapter and what is known of it; a new one starts with neither. */
  #renew(key: string, known: Entry | undefined, announcement: ReplicaAnnouncement): Entry {
    known?.binding.abort();
    const same =
      known?.announcement.epoch === announcement.epoch && known.announcement.url === announcement.url;
    if (!same) void known?.adapter?.close();
    const entry: Entry = {
      announcement,
      adapter: same ? known?.adapter : undefined,
      props: known?.props,
      version: same ? known?.version : undefined,
      refusal: same ? known?.refusal : undefined,
      binding: new AbortController(),
    };
    this.#entries.set(key, entry);
    return entry;
  }

  async #bind(entry: Entry): Promise<void> {
    const { clock } = this.#options;
    const { signal } = entry.binding;
    try {
      entry.adapter ??= this.#adapterFor(entry.announcement);
    } catch (error) {
      // Whoever announced it did so wrongly: that takes this one replica out, and nothing else.
      const lastError = error instanceof Error ? error.message : String(error);
      entry.announcement = { ...entry.announcement, phase: "failed", lastError };
      return this.#report(entry);
    }
    for (let misses = 0; !signal.aborted; ) {
      const answer = await ask(entry.adapter, signal);
      if (signal.aborted) return;
      misses = "props" in answer ? 0 : misses + 1;
      // The core hears of a ready replica again and again: that is how it knows that a doubt was unfounded.
      if ("props" in answer) this.#answered(entry, answer.props);
      else if (misses >= missesMax) this.#unanswered(entry, answer.problem);
      const againMs = Math.min(retryMaxMs, retryMs * 2 ** (misses - 1));
      await pause(clock, misses === 0 ? this.#options.pollMs : againMs, signal);
    }
  }

  /** Whoever watches a process that serves already says what became of it: here it is only asked again. */
  #unanswered(entry: Entry, problem: string): void {
    if (entry.version !== undefined) return;
    const { replicaId } = entry.announcement;
    const before = entry.refusal;
    entry.refusal =
      `Replica ${replicaId} is ready, but its engine does not say what it is: ${problem} ` +
      "It is asked again, and serves as soon as it does.";
    if (entry.refusal !== before) this.#version++;
    this.#report(entry);
  }

  #answered(entry: Entry, props: EngineProps): void {
    const before = JSON.stringify([entry.props, entry.refusal]);
    entry.props = props;
    this.#admit(entry, props.engineVersion);
    if (JSON.stringify([props, entry.refusal]) !== before) this.#version++;
    this.#report(entry);
  }

  /** One that is refused is asked again like any other: the rest of its pool may be gone by then. */
  #admit(entry: Entry, version: string): void {
    const { poolId, replicaId } = entry.announcement;
    const { versions } = this.#options.expected(poolId);
    const running = this.#runningBeside(entry);
    entry.refusal = versions && versionProblem({ poolId, replicaId, version }, versions, running);
    entry.version = entry.refusal === undefined ? version : undefined;
  }

  /** What another replica of its pool serves with. */
  #runningBeside({ announcement: { poolId, replicaId } }: Entry): string | undefined {
    for (const { announcement, version } of this.#entries.values()) {
      const isOther = announcement.poolId === poolId && announcement.replicaId !== replicaId;
      if (isOther && announcement.phase === "ready" && version !== undefined) return version;
    }
    return undefined;
  }

  /** @throws EngineError for an engine that nobody here can speak to */
  #adapterFor({ replicaId, url, engine, apiKey }: ReplicaAnnouncement): Adapter {
    if (url === undefined) throw new Error(`Replica ${replicaId} was announced as ready without its url.`);
    return this.#options.bind({ engine, url, ...(apiKey !== undefined && { apiKey }) });
  }

  #report({ announcement, props, refusal }: Entry): void {
    const { poolId, replicaId, epoch, readyInMs, fault } = announcement;
    const isRefused = announcement.phase === "ready" && refusal !== undefined;
    const phase = isRefused ? "failed" : announcement.phase;
    const lastError = isRefused ? refusal : announcement.lastError;
    this.#options.post({
      type: "ReplicaReported",
      poolId,
      replicaId,
      status: phase,
      epoch,
      facts: factsOf(announcement, props, this.#options.expected(poolId)),
      ...(readyInMs !== undefined && { readyInMs }),
      ...(lastError !== undefined && { lastError }),
      ...(fault !== undefined && { reason: fault }),
    });
  }
}

function boundOf({ announcement, adapter, props, refusal }: Entry): BoundReplica | undefined {
  if (refusal !== undefined) return undefined;
  if (announcement.phase !== "ready" || adapter === undefined || props === undefined) return undefined;
  return { announcement, adapter, props };
}

type Answer = { readonly props: EngineProps } | { readonly problem: string };

async function ask(adapter: Adapter, signal: AbortSignal): Promise<Answer> {
  const late = AbortSignal.timeout(askMs);
  try {
    return { props: await adapter.props(AbortSignal.any([signal, late])) };
  } catch (error) {
    if (late.aborted) return { problem: `It has not answered within ${askMs} ms.` };
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Ends early when the signal is aborted. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal.addEventListener("abort", done);
  });
}

/** A replica that never was ready is known by its configuration alone; its set is found when it is. */
function factsOf(
  announcement: ReplicaAnnouncement,
  props: EngineProps | undefined,
  expected: Expected,
): ReplicaFacts {
  const digest = props?.modelDigest ?? announcement.modelDigest ?? null;
  return {
    nodeId: null,
    engineVersion: props?.engineVersion ?? null,
    modelDigest: digest,
    ...(props?.quant !== undefined && { quant: props.quant }),
    ctxMax: props?.ctxMax ?? expected.ctxMax,
    // An engine may have more slots than it was configured to be used with, as where sharing a batch would
    // change what its streams say.
    slotsTotal: Math.min(props?.slotsTotal ?? expected.slotsTotal, expected.slotsTotal),
    slotsElsewhere: 0,
    vramFreeBytes: 0,
    features: props?.features ?? [],
    // An engine that cannot tell how it computes is like no other: it can only stand in for itself.
    computeFingerprint:
      props?.computeFingerprint ?? `only ${keyOf(announcement.poolId, announcement.replicaId)}`,
    speed: {},
  };
}

const keyOf = (poolId: string, replicaId: string): string => `${poolId}/${replicaId}`;
