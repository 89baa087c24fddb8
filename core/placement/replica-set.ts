// Replica sets: replicas that can stand in for one another. The key holds everything that can change a
// result, so two replicas are in one set exactly when their keys are equal; the set's name is a stable hash
// of its key.

import { canonicalJson, Priority } from "@llama-orch/contract";
import type { ReplicaFacts } from "../events.ts";
import { FairQueue } from "../queue/fair.ts";
import { Fifo } from "../queue/fifo.ts";
import type { PoolSettings } from "../settings.ts";
import type { ArrivalRate, Live, Pool, Replica, ReplicaSet, SetKey, State } from "../state.ts";

export function setKeyOf(pool: Pool, facts: ReplicaFacts): SetKey {
  const { engine, samplerProfile, determinism } = pool.settings;
  return {
    engine,
    modelDigest: facts.modelDigest ?? pool.modelRef,
    quant: facts.quant ?? null,
    ctx: facts.ctxMax,
    engineVersion: facts.engineVersion,
    samplerProfile,
    determinism,
    computeFingerprint: determinism === "strict" ? (facts.computeFingerprint ?? null) : null,
  };
}

export function setIdOf(key: SetKey): string {
  return `rs-${stableHash(canonicalJson(key))}`;
}

/** 64 bits of FNV-1a in two lanes; the same everywhere and for ever, since set ids are written down. */
export function stableHash(text: string): string {
  let low = 0x811c9dc5;
  let high = 0xcbf29ce4;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ (unit + i), 0x01000193);
  }
  const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
  return hex(low ^ (high >>> 15)) + hex(high);
}

/** Puts a replica into the set of its key, which appears with its first member. */
export function joinSet(state: State, pool: Pool, replica: Replica): ReplicaSet {
  const key = setKeyOf(pool, replica.facts);
  const id = setIdOf(key);
  let set = state.sets.get(id);
  if (set === undefined) {
    set = newSet(id, key, pool.settings);
    state.sets.set(id, set);
  }
  if (set.unseen) Object.assign(set, { unseen: false, key });
  replica.setId = id;
  set.replicas.push(replica);
  set.replicas.sort((a, b) => (a.key < b.key ? -1 : 1));
  return set;
}

export function leaveSet(state: State, replica: Replica): void {
  const set = state.sets.get(replica.setId);
  const at = set?.replicas.indexOf(replica) ?? -1;
  if (at >= 0) set?.replicas.splice(at, 1);
}

export function newSet(id: string, key: SetKey, settings: PoolSettings): ReplicaSet {
  return {
    id,
    key,
    unseen: false,
    settings,
    replicas: [],
    queue: fairQueue(settings),
    returns: new Fifo(),
    arrivals: { interactive: noArrivals(), batch: noArrivals() },
  };
}

const noArrivals = (): ArrivalRate => ({ perMs: 0, atMs: 0, sinceMs: null });

/** Pools that share a set are configured alike in what rules their common queue, so any of them may speak. */
export function fairQueue(settings: PoolSettings): FairQueue<Live> {
  return new FairQueue<Live>({
    edf: settings.edf,
    strictClasses: settings.strictClasses,
    weightOf: (tenantId, priority) =>
      settings.classes[priority].weight * (settings.tenants[tenantId]?.weight ?? 1),
  });
}

export function rankOf(priority: Priority): number {
  return Priority.enum.indexOf(priority);
}
