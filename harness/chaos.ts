// `npm run chaos -- --rounds N [--seed S] [--json FILE]`: real daemons with real engine processes, killed,
// hung and cut at random instants, and what must hold all the same. Seed S begins; a round that fails is
// printed with the command that repeats its plan. Its timing is the machine's, so it may pass then.

import { parseArgs } from "node:util";
import { writeSuite } from "../scripts/test/suite.ts";
import { drawPlan } from "./chaos/plan.ts";
import { startReference } from "./chaos/reference.ts";
import { countsOf, failureText, figuresOf, roundText, summaryText } from "./chaos/report.ts";
import { type RoundVerdict, runRound } from "./chaos/round.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
  },
});
// What was started ends with us.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

const startedAt = new Date();
const first = Number(values.seed);
const reference = await startReference();
const verdicts: RoundVerdict[] = [];
for (let seed = first; seed < first + Number(values.rounds); seed += 1) {
  const verdict = await runRound(drawPlan(seed), reference);
  verdicts.push(verdict);
  console.log(roundText(verdict));
  if (verdict.violations.length > 0) console.log(failureText(verdict));
}
await reference.stop();
console.log(summaryText(verdicts));
const failed = verdicts.filter(({ violations }) => violations.length > 0);
console.log(`${verdicts.length - failed.length} rounds passed, ${failed.length} failed`);
if (values.json !== undefined) {
  writeSuite(values.json, `${import.meta.dirname}/..`, {
    suite: "chaos",
    ok: failed.length === 0,
    startedAt,
    figures: figuresOf(verdicts),
    counts: countsOf(verdicts),
    failures: failed.map(({ seed, violations }) => ({ seed, violations })),
  });
}
process.exitCode = failed.length === 0 ? 0 : 1;
