import assert from "node:assert/strict";
import { test } from "node:test";
import { emitArea } from "./emit.ts";
import { parseLedger } from "./ledger.ts";
import { findLinks, relink } from "./links.ts";

const LEDGER = `# Requirements of core.
- id: ORCH-1
  level: must
  proof: unit
  says: >-
    A waits.
- id: ORCH-2
  level: must
  proof: unit
  says: >-
    B waits.
`;

const SOURCES = new Map([
  [
    "core/b.test.ts",
    'import "./queue/fifo.ts"; import "../contract/ids.ts"; import "yaml"; test("b [ORCH-1]", f);',
  ],
  ["core/a.test.ts", 'import { a } from "./a.ts"; import { h } from "./h.test.ts"; test("a [ORCH-1]", f);'],
  [
    "core/store/disk.test.ts",
    'import { law } from "./store.conformance.ts"; import { Disk } from "./disk.ts";',
  ],
  [
    "core/store/store.conformance.ts",
    'import type { Store } from "./store.ts"; test(kind + " keeps [ORCH-2]", f);',
  ],
]);

function linked(text: string, sources: ReadonlyMap<string, string>): string {
  const ledger = parseLedger([["core", text]]);
  const links = findLinks(ledger, sources);
  assert.deepEqual([...ledger.problems, ...links.problems], []);
  return ledger.areas
    .map(({ header, requirements }) =>
      emitArea(
        header,
        requirements.map((each) => relink(each, links)),
      ),
    )
    .join("");
}

test("each id is linked to its tests and their code, and a second run leaves no diff [TPOL-14]", () => {
  const first = linked(LEDGER, SOURCES);
  assert.equal(
    first,
    `# Requirements of core.
- id: ORCH-1
  level: must
  proof: unit
  says: >-
    A waits.
  tests:
    - core/a.test.ts
    - core/b.test.ts
  code:
    - core/a.ts
    - core/queue/fifo.ts
- id: ORCH-2
  level: must
  proof: unit
  says: >-
    B waits.
  tests:
    - core/store/disk.test.ts
  code:
    - core/store/disk.ts
    - core/store/store.ts
`,
  );
  assert.equal(linked(first, SOURCES), first);
  assert.equal(linked(first, new Map([...SOURCES].reverse())), first);
});

test("a link disappears with the test that made it", () => {
  assert.equal(linked(linked(LEDGER, SOURCES), new Map()), LEDGER);
});

test("an unknown id is told with its file, its title and the nearest ids", () => {
  const { problems } = findLinks(
    parseLedger([["core", LEDGER]]),
    new Map([["core/c.test.ts", 'test("c [ORCH-9]", f);']]),
  );
  assert.deepEqual(problems, [
    'core/c.test.ts: the test "c [ORCH-9]" names ORCH-9, which the ledger does not have. ' +
      "The nearest are ORCH-1, ORCH-2.",
  ]);
});
