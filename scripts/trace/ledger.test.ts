import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { emitArea } from "./emit.ts";
import { LEVELS, PROOFS, parseLedger, type Requirement, readLedger } from "./ledger.ts";

const HEADER = "# Requirements of core.\n";
const ENTRY = "- id: ORCH-1\n  level: must\n  proof: unit\n  says: >-\n    It holds.\n";
const problemsOf = (text: string) => parseLedger([["core", text]]).problems;

const word = fc.stringMatching(/^[!-~]{1,30}$/);
const sentence = fc.array(word, { minLength: 1, maxLength: 60 }).map((words) => words.join(" "));
const paths = fc.array(fc.constantFrom("core/a.test.ts", "core/queue/b.test.ts"), { minLength: 1 });
const requirement: fc.Arbitrary<Requirement> = fc
  .record(
    {
      id: fc.stringMatching(/^[A-Z]{2,5}-[A-Z0-9]{1,4}[a-z]?$/),
      level: fc.constantFrom(...LEVELS),
      proof: fc.constantFrom(...PROOFS),
      says: sentence,
      tests: paths,
      code: paths,
    },
    { requiredKeys: ["id", "level", "proof", "says"], noNullPrototype: true },
  )
  .map((each) => (each.level === "dropped" ? { ...each, reason: 'It is a "reason": # of a kind' } : each));

test("whatever is emitted reads back as what went in, in lines of 110 characters", () => {
  fc.assert(
    fc.property(fc.uniqueArray(requirement, { selector: ({ id }) => id, minLength: 1 }), (requirements) => {
      const text = emitArea(HEADER, requirements);
      const { areas, problems } = parseLedger([["core", text]]);
      assert.deepEqual(problems, []);
      assert.deepEqual(areas[0]?.requirements, requirements);
      assert.ok(text.split("\n").every((line) => line.length <= 110));
    }),
  );
});

test("the project's own ledger has no problem and is formatted as the emitter does", () => {
  const { areas, problems } = readLedger(join(import.meta.dirname, "..", ".."));
  assert.deepEqual(problems, []);
  for (const { header, text, requirements } of areas) assert.equal(emitArea(header, requirements), text);
});

test("an id stands once in the whole ledger", () => {
  const { problems } = parseLedger([
    ["bdd", HEADER + ENTRY],
    ["core", HEADER + ENTRY],
  ]);
  assert.deepEqual(problems, ["requirements/core.yaml: ORCH-1 stands in requirements/bdd.yaml as well."]);
});

test("what a rewrite would lose is refused: comments and unknown fields", () => {
  const comment = "a comment here would be lost; say it in a field or in the first line.";
  assert.deepEqual(problemsOf(`${HEADER}- id: ORCH-1 # why\n${ENTRY.slice(ENTRY.indexOf("\n") + 1)}`), [
    `requirements/core.yaml:2: ${comment}`,
  ]);
  assert.deepEqual(problemsOf(`${HEADER}${ENTRY}  owner: me\n`), [
    "requirements/core.yaml: ORCH-1: the ledger has no field owner.",
  ]);
});

test("every field of an entry is checked, and all problems are told at once", () => {
  const problems = problemsOf(`${HEADER}- id: orch1\n  level: maybe\n  proof: hope\n  says: "two  spaces"\n`);
  assert.equal(problems.length, 4);
  assert.match(problems.join("\n"), /id must .*\n.*level must .*\n.*proof must .*\n.*says must /);
});

test("a dropped requirement needs a reason and no other may have one", () => {
  assert.match(
    problemsOf(HEADER + ENTRY.replace("must", "dropped")).join(),
    /a dropped requirement needs a reason/,
  );
  assert.match(
    problemsOf(`${HEADER}${ENTRY}  reason: why\n`).join(),
    /only a dropped requirement has a reason/,
  );
});

test("broken YAML, a missing header and something that is no list are problems", () => {
  assert.match(problemsOf(`${HEADER}- id: [`).join(), /^requirements\/core\.yaml:2: /);
  assert.match(problemsOf(ENTRY).join(), /core\.yaml:1: the first line must be a comment/);
  assert.match(problemsOf(`${HEADER}id: x\n`).join(), /a list of requirements is expected/);
});
