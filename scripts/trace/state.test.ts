import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileResult, Outcome } from "../test/results.ts";
import { parseLedger } from "./ledger.ts";
import { findLinks } from "./links.ts";
import { statesOf } from "./state.ts";
import { areaDetail, areaTable } from "./table.ts";

const LEDGER = parseLedger([
  [
    "core",
    `# Requirements of core.
- { id: ORCH-1, level: must, proof: unit, says: It waits. }
- { id: ORCH-2, level: should, proof: unit, says: It runs. }
- { id: ORCH-3, level: dropped, proof: unit, says: It flies., reason: It cannot. }
`,
  ],
]);
const SOURCES = new Map([
  ["core/a.test.ts", `test("a [ORCH-1]", f); test(n + " too [ORCH-1]", f);`],
  ["core/b.test.ts", 'test("b [ORCH-1]", f);'],
]);
const DIGESTS = new Map([...SOURCES.keys()].map((path) => [path, "as it is"]));

const ran = (tests: Record<string, Outcome>, digest = "as it is"): FileResult => ({
  digest,
  startedAt: "2026-01-01T00:00:00.000Z",
  durationMs: 1,
  tests: Object.entries(tests).map(([title, outcome]) => ({ title, outcome, durationMs: 1 })),
});
const A = ran({ "a [ORCH-1]": "passed", "1 too [ORCH-1]": "passed", "2 too [ORCH-1]": "passed" });
const B = ran({ "b [ORCH-1]": "passed" });

const states = (results: Record<string, FileResult>) =>
  statesOf(LEDGER, findLinks(LEDGER, SOURCES), new Map(Object.entries(results)), DIGESTS);
const stateOf = (results: Record<string, FileResult>) => states(results).get("ORCH-1");

test("an id passes when all its tests in all files passed", () => {
  assert.deepEqual(
    [...states({ "core/a.test.ts": A, "core/b.test.ts": B })],
    [
      ["ORCH-1", "passing"],
      ["ORCH-2", "no test"],
      ["ORCH-3", "dropped"],
    ],
  );
});

test("a result older than its test file counts as stale, not as passing", () => {
  const changed = ran({ "b [ORCH-1]": "passed" }, "as it was");
  assert.equal(stateOf({ "core/a.test.ts": A, "core/b.test.ts": changed }), "stale");
});

test("one test that failed, was skipped or did not run keeps the id from passing", () => {
  assert.equal(stateOf({ "core/a.test.ts": A, "core/b.test.ts": ran({ "b [ORCH-1]": "failed" }) }), "failed");
  assert.equal(
    stateOf({ "core/a.test.ts": A, "core/b.test.ts": ran({ "b [ORCH-1]": "skipped" }) }),
    "skipped",
  );
  assert.equal(stateOf({ "core/a.test.ts": A, "core/b.test.ts": ran({ other: "passed" }) }), "no result");
  assert.equal(stateOf({ "core/a.test.ts": A }), "no result");
  assert.equal(
    stateOf({ "core/a.test.ts": ran({ "a [ORCH-1]": "passed" }), "core/b.test.ts": B }),
    "no result",
  );
});

test("a file that failed as a whole proves nothing, though its tests passed", () => {
  const hung = ran({ "b [ORCH-1]": "passed", "(the file itself)": "failed" });
  assert.equal(stateOf({ "core/a.test.ts": A, "core/b.test.ts": hung }), "failed");
});

test("the table has a row per area and a total", () => {
  assert.equal(
    areaTable(LEDGER.areas, states({ "core/a.test.ts": A, "core/b.test.ts": B })),
    [
      "area   ids  must  dropped  tested  passing  must passing",
      "core     3     1        1       1        1             1",
      "total    3     1        1       1        1             1",
    ].join("\n"),
  );
});

test("an area is shown id by id, with the tests of those that do not pass", () => {
  const [area] = LEDGER.areas;
  assert.ok(area);
  const requirements = area.requirements.map((each) =>
    each.id === "ORCH-1" ? { ...each, tests: ["b.test.ts"] } : each,
  );
  assert.equal(
    areaDetail({ ...area, requirements }, states({})),
    [
      "ORCH-1           must    no result It waits.",
      "                 b.test.ts",
      "ORCH-2           should  no test   It runs.",
      "ORCH-3           dropped dropped   It flies.",
    ].join("\n"),
  );
});
