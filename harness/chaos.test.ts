import assert from "node:assert/strict";
import { after, test } from "node:test";
import { drawPlan } from "./chaos/plan.ts";
import { startReference } from "./chaos/reference.ts";
import { failureText } from "./chaos/report.ts";
import { runRound } from "./chaos/round.ts";

const reference = await startReference();
after(() => reference.stop());

test("engines and the orchestrator are killed, hung and cut, and every promise to whoever reads a stream holds", async () => {
  const plan = drawPlan(22, { kind: "fakes", tasks: 48, stormMs: 1200, variants: 6, long: false });
  const verdict = await runRound(plan, reference);
  assert.equal(verdict.violations.length, 0, failureText(verdict));
  assert.ok(verdict.streams > 40);
  assert.ok((verdict.faults.kill ?? 0) > 0);
  assert.ok((verdict.faults["daemon-kill"] ?? 0) > 0);
});

test("the same seed plans the same tasks and faults, and another seed others", () => {
  assert.deepEqual(drawPlan(7), drawPlan(7));
  assert.notDeepEqual(drawPlan(7), drawPlan(8));
});
