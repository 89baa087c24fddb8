// Which requirements a test title names: the tokens in its square brackets. Letters with digits behind them
// are meant as an id, so a mistyped one is caught; a decision ([D-05]) and plain words ([linux]) stay what
// they are.

import { distance } from "@llama-orch/contract";
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
  // A blank before a digit stays: [ORCH 3026] is one mistyped id, [ORCH-3026 ORCH-3027] are two ids.
  return [...title.matchAll(/\[([^\]]*)\]/g)].flatMap(([, inside = ""]) => inside.split(/,\s*|\s+(?!\d)/));
}

function problemOf(
  token: string,
  known: ReadonlyMap<string, Requirement>,
  families: ReadonlySet<string>,
): string | undefined {
  const requirement = known.get(token);
  if (requirement?.level === "dropped") return `names ${token}, which is dropped: ${requirement.reason}`;
  if (requirement) return undefined;
  if (/^D-\d\d$/.test(token) || !looksLikeId(token, known, families)) return undefined;
  const built = [...known.values()].filter(({ level }) => level !== "dropped").map(({ id }) => id);
  const nearest = nearestTo(token.toUpperCase(), built);
  return `names ${token}, which the ledger does not have. The nearest are ${nearest.join(", ")}.`;
}

/** Whether it is meant as an id: in any case and, in a family of the ledger, with any separator or none. */
function looksLikeId(
  token: string,
  known: ReadonlyMap<string, Requirement>,
  families: ReadonlySet<string>,
): boolean {
  if (/^[a-z]+([-_][a-z]+)*[-_]\d/i.test(token)) return true;
  const [, family = ""] = /^([a-z]+)[^a-z0-9]*\d/i.exec(token) ?? [];
  if (families.has(family.toUpperCase())) return true;
  // PB-BDD and METRICS-HOT have no digit.
  if (/^[A-Z]+-[A-Z]/.test(token)) return families.has(familyOf(token));
  return known.has(token.replaceAll("_", "-").toUpperCase());
}

/** OC-CORE-1001 and a mistyped OC-COR-1001 are both of the family OC. */
function familyOf(id: string): string {
  return id.slice(0, id.indexOf("-"));
}

function nearestTo(id: string, candidates: readonly string[]): string[] {
  return candidates
    .map((candidate) => ({ candidate, apart: distance(id, candidate) }))
    .sort((a, b) => a.apart - b.apart || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, NEAREST_MAX)
    .map(({ candidate }) => candidate);
}
