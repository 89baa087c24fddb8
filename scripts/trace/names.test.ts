import assert from "node:assert/strict";
import { test } from "node:test";
import type { Requirement } from "./ledger.ts";
import { nameReader } from "./names.ts";

const requirement = (id: string, more: Partial<Requirement> = {}): Requirement => {
  return { id, level: "must", proof: "unit", says: "It holds.", ...more };
};
const requirements = [
  ...["ORCH-3026", "ORCH-3027", "ORCH-3128", "OC-CORE-1001", "SSE-01", "OC-ADAPT-5001a", "CHK-RUN"].map(
    (id) => requirement(id),
  ),
  requirement("AUTH-1006", { level: "dropped", reason: "No proxy is trusted." }),
];
const namesIn = nameReader({ areas: [{ name: "core", header: "# Core.\n", text: "", requirements }] });

test("ids stand in brackets, several separated by commas", () => {
  const title = "a [ORCH-3026, OC-CORE-1001] and b [OC-ADAPT-5001a] [CHK-RUN]";
  assert.deepEqual(namesIn(title), {
    ids: ["ORCH-3026", "OC-CORE-1001", "OC-ADAPT-5001a", "CHK-RUN"],
    problems: [],
  });
});

test("a decision, another word in brackets and an id outside of brackets name nothing", () => {
  assert.deepEqual(
    namesIn("ORCH-3026 holds [D-05] [linux] [0, 1] [GPU-only] [x64] [utf8] [to run] [node 24] []"),
    { ids: [], problems: [] },
  );
});

test("an id that the ledger does not have is a problem and comes with its nearest", () => {
  assert.deepEqual(namesIn("a [ORCH-3028]"), {
    ids: [],
    problems: [
      "names ORCH-3028, which the ledger does not have. The nearest are ORCH-3026, ORCH-3027, ORCH-3128.",
    ],
  });
});

test("a mistyped family, a small letter, another separator and a range do not slip through", () => {
  for (const token of [
    ...["OC-COR-1001", "orch-3026", "ORCH-3026..3027", "ORCH-3026 ORCH-9", "ORCH-3026, ORCH-9"],
    ...["ORHC-3026", "orch-9999", "ORCH_3026", "ORCH3026", "ORCH 3026", "ORCH:3026", "D-5", "d-05"],
    ...["Orhc_3026", "chk-run", "CHK_RUN", "CHK-RUM"],
  ]) {
    assert.equal(namesIn(`a [${token}]`).problems.length, 1, token);
  }
});

test("a dropped id is a problem that repeats the reason", () => {
  assert.deepEqual(namesIn("a [AUTH-1006]").problems, [
    "names AUTH-1006, which is dropped: No proxy is trusted.",
  ]);
});
