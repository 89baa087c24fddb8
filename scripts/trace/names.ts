// Which requirements a test title names: the tokens in its square brackets. Knows an id from any other
// bracket by the families of the ledger, so that a mistyped id is caught while [D-05] or [linux] stay what
// they are.

import type { Ledger, Requirement } from "./ledger.ts";

const NEAREST_MAX = 3;

export type Names = { ids: string[]; problems: string[] };
export type NameReader = (title: string) => Names;

export function nameReader({ areas }: Pick<Ledger, "areas">): NameReader {
  const known = new Map(areas.flatMap((area) => area.requirements.map((each) => [each.id, each] as const)));
  const families = new Set([...known.keys()].map(familyOf));
  return (title) => {
    const names: Names = { ids: [], problems: [] };
    for (const token of bracketed(title)) {
      const problem = problemOf(token, known, families);
      if (problem !== undefined) names.problems.push(problem);
      else if (known.has(token)) names.ids.push(token);
    }
    return names;
  };
}

function bracketed(title: string): string[] {
  return [...title.matchAll(/\[([^\]]*)\]/g)].flatMap(([, inside = ""]) => inside.split(/[,\s]+/));
}

function problemOf(
  token: string,
  known: ReadonlyMap<string, Requirement>,
  families: ReadonlySet<string>,
): string | undefined {
  const requirement = known.get(token);
  if (requirement?.level === "dropped") return `names ${token}, which is dropped: ${requirement.reason}`;
  if (requirement) return undefined;
  const built = [...known.values()].filter(({ level }) => level !== "dropped").map(({ id }) => id);
  const looksLikeOne = /^[A-Z]+-[A-Z0-9]/.test(token) && families.has(familyOf(token));
  if (!looksLikeOne && !known.has(token.toUpperCase())) return undefined;
  const nearest = nearestTo(token.toUpperCase(), built);
  return `names ${token}, which the ledger does not have. The nearest are ${nearest.join(", ")}.`;
}

/** OC-CORE-1001 and a mistyped OC-COR-1001 are both of the family OC. */
function familyOf(id: string): string {
  return id.slice(0, id.indexOf("-"));
}

function nearestTo(id: string, candidates: readonly string[]): string[] {
  return candidates
    .map((candidate) => ({ candidate, distance: distanceBetween(id, candidate) }))
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, NEAREST_MAX)
    .map(({ candidate }) => candidate);
}

/** Levenshtein: how many characters to add, remove or change. */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [line, letter] of [...a].entries()) {
    const next = [line + 1];
    for (const [column, other] of [...b].entries()) {
      const changed = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
