// When a fact was, for the one question that needs it: what time it was at least when the process ended.

import type { Fact } from "./store.ts";

/** Facts without a time of their own follow others that have one. */
export function timeOf(fact: Fact): number {
  if (fact.fact === "drained") return fact.sinceMs;
  return "atMs" in fact ? fact.atMs : 0;
}
