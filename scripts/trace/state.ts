// What is known about a requirement now: whether a test names it, and what the last run of those tests said.
// A result older than its test file says nothing.

import { type FileResult, WHOLE_FILE } from "../test/results.ts";
import type { Ledger, Requirement } from "./ledger.ts";
import type { Links, Proofs } from "./links.ts";
import { isRunOf, type Title } from "./titles.ts";

export type State = "dropped" | "no test" | "no result" | "stale" | "failed" | "skipped" | "passing";
export type States = Map<string, State>;

/** @param digests of the test files as they are now */
export function statesOf(
  { areas }: Pick<Ledger, "areas">,
  links: Pick<Links, "proofs">,
  results: ReadonlyMap<string, FileResult>,
  digests: ReadonlyMap<string, string>,
): States {
  const stateOf = ({ id, level }: Requirement): State => {
    if (level === "dropped") return "dropped";
    const proofs = links.proofs.get(id);
    if (!proofs) return "no test";
    return worst([...proofStates(proofs, results, digests)]);
  };
  return new Map(areas.flatMap(({ requirements }) => requirements.map((each) => [each.id, stateOf(each)])));
}

function* proofStates(
  proofs: Proofs,
  results: ReadonlyMap<string, FileResult>,
  digests: ReadonlyMap<string, string>,
): Generator<State> {
  for (const [path, titles] of proofs) {
    const result = results.get(path);
    if (result && result.digest !== digests.get(path)) yield "stale";
    else for (const title of titles) yield titleState(title, result);
  }
}

/** Every run of the title counts: a table of cases may run it many times. */
function titleState(title: Title, result: FileResult | undefined): State {
  const tests = result?.tests ?? [];
  if (tests.some((test) => test.title === WHOLE_FILE)) return "failed";
  const runs = tests.filter((test) => isRunOf(title, test.title));
  if (runs.length === 0) return "no result";
  if (runs.some(({ outcome }) => outcome === "failed")) return "failed";
  return runs.some(({ outcome }) => outcome === "skipped") ? "skipped" : "passing";
}

function worst(states: readonly State[]): State {
  const order: State[] = ["failed", "stale", "no result", "skipped"];
  return order.find((state) => states.includes(state)) ?? "passing";
}
