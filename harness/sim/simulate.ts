// One seed, from its mix to its verdict. Whatever is thrown on the way is a violation, with what happened
// last.

import { demandAll } from "./demands.ts";
import { drawMix } from "./draw-mix.ts";
import type { Mix } from "./mix.ts";
import { hash } from "./random.ts";
import { count, type Tally } from "./tally.ts";
import { World } from "./world.ts";

export interface Verdict {
  readonly seed: number;
  /** Of all effects: equal for equal seeds. */
  readonly digest: string;
  readonly events: number;
  readonly accepted: number;
  readonly faults: Readonly<Tally>;
  readonly outcomes: Readonly<Tally>;
  readonly refusals: Readonly<Tally>;
  readonly notes: Readonly<Tally>;
  readonly violation?: { readonly message: string; readonly lately: readonly string[] };
}

const latelyMax = 60;

export function simulate(seed: number, mix: Mix = drawMix(seed)): Verdict {
  const world = new World(mix);
  try {
    world.run();
    demandAll(world);
    return verdictOf(world);
  } catch (error) {
    const { message, stack = "" } = error as Error;
    const where = stack.split("\n").find((line) => /\/(core|sim)\//.test(line)) ?? "";
    const lately = world.daemon.lately.slice(-latelyMax);
    return { ...verdictOf(world), violation: { message: `${message} ${where.trim()}`, lately } };
  }
}

function verdictOf({ mix, daemon, judge, faults }: World): Verdict {
  const outcomes: Tally = {};
  for (const { outcome } of judge.cases.values()) {
    const ended = outcome?.outcome;
    count(outcomes, ended === undefined ? "open" : ended.kind === "failed" ? ended.code : ended.kind);
  }
  return {
    seed: mix.seed,
    digest: daemon.digest,
    events: daemon.events,
    accepted: judge.cases.size,
    faults,
    outcomes,
    refusals: judge.refusals,
    notes: judge.notes,
  };
}

/** One digest of many, in the order of their seeds. */
export function combineDigests(verdicts: readonly Verdict[]): string {
  return hash(...verdicts.map(({ digest }) => digest))
    .toString(16)
    .padStart(8, "0");
}
