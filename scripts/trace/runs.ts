// What the links, which are found in the sources alone, cannot see: the titles under which the tests last
// ran. A computed title must not name an id in secret, neither an unknown one nor one that no link leads to.

import type { FileResult } from "../test/results.ts";
import type { Ledger } from "./ledger.ts";
import type { Links } from "./links.ts";
import { nameReader } from "./names.ts";

/** @param digests of the test files as they are now; titles of a file that changed since are not judged */
export function runProblems(
  ledger: Pick<Ledger, "areas">,
  { proofs }: Pick<Links, "proofs">,
  results: ReadonlyMap<string, FileResult>,
  digests: ReadonlyMap<string, string>,
): string[] {
  const namesIn = nameReader(ledger);
  const problems = [...results].flatMap(([path, { digest, tests }]) => {
    if (digest !== digests.get(path)) return [];
    return tests.flatMap(({ title }) => {
      const { ids, problems: unknown } = namesIn(title);
      const hidden = ids.filter((id) => !proofs.get(id)?.has(path)).map((id) => `${id}${unlinked}`);
      return [...unknown, ...hidden.map((id) => `names ${id}`)].map(
        (problem) => `${path}: the test that ran as "${title}" ${problem}`,
      );
    });
  });
  return [...new Set(problems)];
}

const unlinked = ", which stands in no title of the source; write it out there, so that the link is found.";
