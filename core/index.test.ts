import assert from "node:assert/strict";
import { test } from "node:test";
import * as core from "./index.ts";

test("the core offers no metric and no log line, so that no name of theirs can differ from the table [ORCH-3253]", () => {
  assert.deepEqual(Object.keys(core).sort(), ["Orchestrator", "noSettings", "overdue", "spentBy"]);
  const members = Object.getOwnPropertyNames(core.Orchestrator.prototype);
  for (const name of members) assert.doesNotMatch(name, /log|metric|count|observe|gauge|histogram/i);
});
