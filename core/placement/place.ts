// Late binding: whenever a slot may have come free, the next task in order that can run on a free slot of its
// set gets it. So no slot idles while its set has work for it, and nothing is bound to a replica while it
// waits.

import { dispatch } from "../attempts/dispatch.ts";
import type { Core, Live, Pool, Replica, ReplicaSet, State } from "../state.ts";
import { affinityOf } from "./affinity.ts";
import { candidatesOf, isUp, requirementsOf, slotsFree } from "./candidates.ts";
import { type Choice, decide } from "./choose.ts";
import { rankOf } from "./replica-set.ts";

const none: readonly Live[] = [];

type Chosen = Extract<Choice, { readonly decision: unknown }>;

export function placeAll(core: Core, set: ReplicaSet): void {
  while (set.queue.size + set.returns.size > 0 && set.replicas.some((replica) => hasRoom(core, replica))) {
    const next = nextToRun(core, set);
    if (next === undefined) return;
    const replica = set.replicas.find(({ key }) => key === next.chosen.candidate.key) as Replica;
    dispatch(core, set, next.live, replica, next.chosen.decision);
  }
}

function hasRoom({ state }: Core, replica: Replica): boolean {
  return slotsFree(replica) > 0 && isUp(state, state.pools.get(replica.poolId) as Pool, replica);
}

/** Returned work first; but what was preempted stays behind the class that displaced it. */
function nextToRun(core: Core, set: ReplicaSet): { live: Live; chosen: Chosen } | undefined {
  let chosen: Chosen | undefined;
  const mayRun = (live: Live): boolean => {
    const choice = choose(core, set, live);
    if (choice.candidate === undefined) return false;
    chosen = choice;
    return true;
  };
  let displaced: Live | undefined;
  let displacedChosen: Chosen | undefined;
  for (const live of set.returns.size > 0 ? set.returns.items() : none) {
    if (displaced !== undefined && live.resume?.preempted === true) continue;
    if (!mayRun(live) || chosen === undefined) continue;
    if (live.resume?.preempted !== true) return { live, chosen };
    displaced = live;
    displacedChosen = chosen;
  }
  const head = set.queue.next(mayRun);
  if (displaced !== undefined && displacedChosen !== undefined) {
    const urgent = head !== undefined && rankOf(head.priority) < rankOf(displaced.priority);
    if (!urgent) return { live: displaced, chosen: displacedChosen };
  }
  return head === undefined || chosen === undefined ? undefined : { live: head, chosen };
}

export function choose(core: Core, set: ReplicaSet, live: Live): Choice {
  const { state, nowMs } = core;
  return decide(requirementsOf(live), candidatesOf(state, nowMs, set, live.jobId), {
    strategy: state.settings.placement.strategy,
    random: state.random,
    last: state.lastPlace,
    affinity: affinityOf(state, nowMs, set, live),
    topology: set.replicas.length > 1 ? nearby(state, set, live) : undefined,
  });
}

/** The topology of where the session ran last: among equals, what is near it is best. */
function nearby(state: State, set: ReplicaSet, { task }: Live): string | undefined {
  const lastReplica = state.sessions.get(task.tenantId, task.sessionId)?.lastReplica;
  if (lastReplica === undefined) return undefined;
  return set.replicas.find(({ key }) => key === lastReplica)?.facts.topology;
}
