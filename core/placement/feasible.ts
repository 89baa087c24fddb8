// Whether a task may run on a replica, and if not, why: the first reason of a fixed order, so that equal
// inputs always give equal words. Nothing is guessed; what a replica does not say it has, it does not have.

import type { NoPlaceReason } from "../outcome.ts";

/** What a model needs of its engine, as far as catalog and adapter say it; nothing is guessed. */
export interface ModelNeeds {
  readonly extensions: readonly string[];
  readonly quant: string | undefined;
  readonly computeCapability: string | undefined;
}

/** What a task asks of its place, out of the request and what is known of its model. */
export interface Requirements extends ModelNeeds {
  readonly ctx: number;
  readonly memoryBytes: number;
  readonly pinPoolId: string | undefined;
  readonly preferPools: readonly string[];
  readonly avoidPools: readonly string[];
  readonly requireDeviceMask: string | undefined;
  readonly allowFallback: boolean;
  /** Where it may not go: a node or zone that is to be kept apart, a replica that failed it too often. */
  readonly exhausted: ((replicaKey: string) => boolean) | undefined;
}

/** One place, as it is now. */
export interface Candidate {
  readonly key: string;
  readonly poolId: string;
  readonly replicaId: string;
  readonly nodeId: string | null;
  readonly ready: boolean;
  readonly ctxMax: number;
  readonly features: readonly string[];
  readonly quant: string | undefined;
  readonly computeCapability: string | undefined;
  readonly deviceMask: string;
  readonly keptApart: boolean;
  readonly vramFreeBytes: number;
  readonly extraBytes: number;
  readonly slotsFree: number;
  readonly active: number;
  readonly topology: string | undefined;
}

export type Infeasible = Exclude<NoPlaceReason, "pinned_pool_infeasible" | "no_preferred_feasible">;

export function infeasible(task: Requirements, place: Candidate): Infeasible | undefined {
  if (!place.ready) return "POOL_UNREADY";
  if (!allows(task, place)) return "MASK_UNSATISFIED";
  if (place.ctxMax < task.ctx) return "INSUFFICIENT_CTX";
  if (!has(task, place)) return "EXTENSIONS_UNSATISFIED";
  if (task.memoryBytes > 0 && place.vramFreeBytes < task.memoryBytes + place.extraBytes) return "NO_CAPACITY";
  if (place.slotsFree <= 0) return "NO_CAPACITY";
  return undefined;
}

/** Whether the task could ever run there, busy or not. */
export function suits(task: Requirements, place: Candidate): boolean {
  return allows(task, place) && place.ctxMax >= task.ctx && has(task, place);
}

/** Placement wishes that rule a place out for good; `prefer` is not one while fallback is allowed. */
export function allows(task: Requirements, place: Candidate): boolean {
  if (task.pinPoolId !== undefined && task.pinPoolId !== place.poolId) return false;
  if (task.avoidPools.includes(place.poolId)) return false;
  if (task.requireDeviceMask !== undefined && task.requireDeviceMask !== place.deviceMask) return false;
  if (task.exhausted?.(place.key) === true) return false;
  return !place.keptApart;
}

/** Whether an engine has what a model needs. */
export function has(
  task: ModelNeeds,
  place: {
    readonly features: readonly string[];
    readonly quant?: string | undefined;
    readonly computeCapability?: string | undefined;
  },
): boolean {
  if (!task.extensions.every((extension) => place.features.includes(extension))) return false;
  if (task.quant !== undefined && task.quant !== place.quant) return false;
  if (task.computeCapability === undefined) return true;
  return place.computeCapability !== undefined && atLeast(place.computeCapability, task.computeCapability);
}

/** Versions such as 8.6 and 12.0, compared part by part. */
function atLeast(given: string, wanted: string): boolean {
  const [major = 0, minor = 0] = given.split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major !== wantedMajor ? major > wantedMajor : minor >= wantedMinor;
}
