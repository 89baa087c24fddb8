// The one place that selects where a task runs: filters, then one order, then a tie-break. Equal inputs give
// equal choices in every process: only the fields compared here count, never the order in which candidates
// came.

import type { Decision } from "../effects.ts";
import type { NoPlace, NoPlaceReason } from "../outcome.ts";
import { type Candidate, type Infeasible, infeasible, type Requirements } from "./feasible.ts";
import { chooseNode, type NodeRules } from "./strategy.ts";

export interface Rules extends NodeRules {
  /** Where the task's session ran last, if its cache could still be warm there. */
  readonly affinity: string | undefined;
  /** Where a resumed task ran last, whose topology is nearest. */
  readonly topology: string | undefined;
}

export type Choice =
  | { readonly candidate: Candidate; readonly decision: Decision }
  | { readonly candidate: undefined; readonly reason: NoPlaceReason; readonly considered: number };

/** What came nearest to running is told: one place that is only busy outweighs all that could never serve. */
const precedence: readonly Infeasible[] = [
  "NO_CAPACITY",
  "INSUFFICIENT_CTX",
  "EXTENSIONS_UNSATISFIED",
  "MASK_UNSATISFIED",
  "POOL_UNREADY",
];

export function decide(task: Requirements, candidates: readonly Candidate[], rules: Rules): Choice {
  const { feasible, reasons } = sifted(task, candidates);
  const { places, fallback } = preferred(task, feasible);
  if (places.length === 0) {
    const reason = nowhere(task, feasible.length, reasons);
    return { candidate: undefined, reason, considered: candidates.length };
  }
  const tieBreakers: string[] = [];
  const affine = places.find((place) => place.key === rules.affinity);
  const candidate = affine ?? best(places, rules, tieBreakers);
  return {
    candidate,
    decision: {
      candidatesTotal: candidates.length,
      candidatesFeasible: feasible.length,
      filters: reasons.sort(),
      tieBreakers,
      pinned: task.pinPoolId !== undefined,
      fallback,
      affinity: affine !== undefined,
    },
  };
}

/** Why admission found no place for a task; a place that is free now may still be promised to others. */
export function noPlaceIn(task: Requirements, candidates: readonly Candidate[]): NoPlace {
  const { feasible, reasons } = sifted(task, candidates);
  const isFree = preferred(task, feasible).places.length > 0;
  return {
    candidatesTotal: candidates.length,
    candidatesFeasible: feasible.length,
    reason: isFree ? "NO_CAPACITY" : nowhere(task, feasible.length, reasons),
  };
}

function sifted(task: Requirements, candidates: readonly Candidate[]) {
  const reasons: Infeasible[] = [];
  const feasible: Candidate[] = [];
  for (const candidate of candidates) {
    const reason = infeasible(task, candidate);
    if (reason === undefined) feasible.push(candidate);
    else if (!reasons.includes(reason)) reasons.push(reason);
  }
  return { feasible, reasons };
}

function preferred(task: Requirements, feasible: Candidate[]): { places: Candidate[]; fallback: boolean } {
  if (task.preferPools.length === 0) return { places: feasible, fallback: false };
  const places = feasible.filter((place) => task.preferPools.includes(place.poolId));
  if (places.length > 0 || !task.allowFallback) return { places, fallback: false };
  return { places: feasible, fallback: true };
}

function nowhere(task: Requirements, feasible: number, reasons: readonly Infeasible[]): NoPlaceReason {
  if (feasible > 0) return "no_preferred_feasible";
  const reason = precedence.find((candidate) => reasons.includes(candidate)) ?? "POOL_UNREADY";
  return task.pinPoolId !== undefined && reason !== "NO_CAPACITY" ? "pinned_pool_infeasible" : reason;
}

/** Most free memory, then fewest active slots; what is left are ties. */
function best(places: Candidate[], rules: Rules, tieBreakers: string[]): Candidate {
  if (places.length === 1) return places[0] as Candidate;
  const vram = Math.max(...places.map((place) => place.vramFreeBytes));
  const roomiest = places.filter((place) => place.vramFreeBytes === vram);
  const active = Math.min(...roomiest.map((place) => place.active));
  let tied = roomiest.filter((place) => place.active === active);
  if (tied.length > 1 && rules.topology !== undefined) {
    const near = tied.filter((place) => place.topology === rules.topology);
    if (near.length > 0 && near.length < tied.length) {
      tieBreakers.push("topology");
      tied = near;
    }
  }
  if (new Set(tied.map((place) => place.nodeId)).size > 1) {
    tieBreakers.push(rules.strategy);
    tied = chooseNode(tied, rules);
  }
  if (tied.length > 1) tieBreakers.push("replica_id");
  return tied.reduce((a, b) => (byReplica(b, a) ? b : a));
}

function byReplica(a: Candidate, b: Candidate): boolean {
  return a.replicaId !== b.replicaId ? a.replicaId < b.replicaId : a.poolId < b.poolId;
}
