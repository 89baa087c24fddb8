// How ties between nodes are broken: by the most room, in turn, or by a seeded chance. What is returned are
// the candidates of one pool on one node.

import type { PlacementStrategy } from "@llama-orch/contract";
import type { Random } from "../random.ts";
import type { Candidate } from "./feasible.ts";

export interface NodeRules {
  readonly strategy: PlacementStrategy;
  readonly random: Random;
  /** The place that round-robin took last. */
  readonly last: string | undefined;
}

export function chooseNode(tied: readonly Candidate[], rules: NodeRules) {
  const groups = new Map<string, Candidate[]>();
  for (const place of tied) {
    const key = placeName(place.nodeId, place.poolId);
    groups.set(key, [...(groups.get(key) ?? []), place]);
  }
  const names = [...groups.keys()].sort();
  return groups.get(pick(names, groups, rules)) as Candidate[];
}

/** What round-robin remembers: node, then pool. */
export function placeName(nodeId: string | null, poolId: string): string {
  return `${nodeId ?? ""} ${poolId}`;
}

function pick(
  names: readonly string[],
  groups: ReadonlyMap<string, readonly Candidate[]>,
  { strategy, random, last }: NodeRules,
): string {
  switch (strategy) {
    case "random":
      return names[random.below(names.length)] as string;
    case "round-robin":
      return names.find((name) => last === undefined || name > last) ?? (names[0] as string);
    case "least-loaded":
      return names.reduce((a, b) => (roomier(sum(groups.get(b)), sum(groups.get(a))) ? b : a));
    default:
      return strategy satisfies never;
  }
}

interface Room {
  readonly slots: number;
  readonly vram: number;
}

function sum(places: readonly Candidate[] | undefined): Room {
  const all = places ?? [];
  return {
    slots: all.reduce((total, place) => total + place.slotsFree, 0),
    vram: all.reduce((total, place) => total + place.vramFreeBytes, 0),
  };
}

const roomier = (a: Room, b: Room): boolean => (a.slots !== b.slots ? a.slots > b.slots : a.vram > b.vram);
