import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileResult } from "../test/results.ts";
import { parseLedger } from "./ledger.ts";
import { findLinks } from "./links.ts";
import { runProblems } from "./runs.ts";

const LEDGER = parseLedger([
  ["core", "# Core.\n- { id: ORCH-1, level: must, proof: unit, says: It waits. }\n"],
]);
const PATH = "core/a.test.ts";

/** What is told of a file with this source whose tests ran under these titles. */
function problemsOf(source: string, ...titles: readonly string[]): string[] {
  return problemsOfRun({ source, digest: "as it is" }, titles);
}

function problemsOfRun({ source = "", digest = "" }, titles: readonly string[]): string[] {
  const links = findLinks(LEDGER, new Map([[PATH, source]]));
  assert.deepEqual(links.problems, []);
  const tests = titles.map((title) => ({ title, outcome: "passed" as const, durationMs: 1 }));
  const result: FileResult = { digest, startedAt: "", durationMs: 1, tests };
  return runProblems(LEDGER, links, new Map([[PATH, result]]), new Map([[PATH, "as it is"]]));
}

test("an unknown id that is put together only when the test runs is a problem", () => {
  const told =
    'core/a.test.ts: the test that ran as "a [ORCH-9]" names ORCH-9, which the ledger does not have. ' +
    "The nearest are ORCH-1.";
  assert.deepEqual(problemsOf('test("a [" + id + "]", f);', "a [ORCH-9]", "a [ORCH-9]"), [told]);
  assert.deepEqual(problemsOf("for (const { says } of rows) test(says, f);", "a [ORCH-9]"), [told]);
});

test("a known id that no link leads to must stand in the source", () => {
  assert.deepEqual(problemsOf('test("a [" + id + "]", f);', "a [ORCH-1]"), [
    'core/a.test.ts: the test that ran as "a [ORCH-1]" names ORCH-1, which stands in no title of the source; ' +
      "write it out there, so that the link is found.",
  ]);
  assert.deepEqual(problemsOf('test(kind + " waits [ORCH-1]", f);', "fifo waits [ORCH-1]"), []);
});

test("a run of a test file that changed since, or is gone, is not judged", () => {
  const title = "a [ORCH-9]";
  assert.deepEqual(problemsOfRun({ digest: "as it was" }, [title]), []);
  assert.equal(problemsOfRun({ digest: "as it is" }, [title]).length, 1);
});
