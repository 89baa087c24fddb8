// `npm run chaos -- --rounds N [--seed S] [--json FILE] [--no-crowd]`: real daemons with real engine
// processes, all of them killed, hung and cut at random instants, on slow and full disks, and what must hold
// all the same; and how long a restart takes with ten thousand tasks. Seed S begins; a round that fails is
// printed with the command that repeats its plan. Its timing is the machine's, so it may pass then.

import { parseArgs } from "node:util";
import { writeSuite } from "../scripts/test/suite.ts";
import { restartWithCrowd } from "./chaos/crowd.ts";
import { drawPlan } from "./chaos/plan.ts";
import { startReference } from "./chaos/reference.ts";
import { countsOf, crowdText, failureText, figuresOf, roundText, summaryText } from "./chaos/report.ts";
import { type RoundVerdict, runRound } from "./chaos/round.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    "no-crowd": { type: "boolean", default: false },
  },
});
// What was started ends with us.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

const startedAt = new Date();
const first = Number(values.seed);
const verdicts: RoundVerdict[] = [];
if (Number(values.rounds) > 0) {
  const reference = await startReference();
  for (let seed = first; seed < first + Number(values.rounds); seed += 1) {
    const verdict = await runRound(drawPlan(seed), reference);
    verdicts.push(verdict);
    console.log(roundText(verdict));
    if (verdict.violations.length > 0) console.log(failureText(verdict));
  }
  await reference.stop();
}
const crowd = values["no-crowd"] ? undefined : await restartWithCrowd();
if (crowd !== undefined) console.log(crowdText(crowd));
const findings = { verdicts, ...(crowd !== undefined && { crowd }) };
console.log(summaryText(findings));
const failed = verdicts.filter(({ violations }) => violations.length > 0);
console.log(`${verdicts.length - failed.length} rounds passed, ${failed.length} failed`);
const figures = figuresOf(findings);
const crowdFailures = crowd?.violations ?? [];
const ok = failed.length === 0 && crowdFailures.length === 0 && figures.every(({ met }) => met !== false);
if (values.json !== undefined) {
  writeSuite(values.json, `${import.meta.dirname}/..`, {
    suite: "chaos",
    ok,
    startedAt,
    figures,
    counts: countsOf(findings),
    failures: [
      ...failed.map(({ seed, violations }) => ({ seed, violations })),
      ...crowdFailures.map((message) => ({ crowd: message })),
    ],
  });
}
process.exitCode = ok ? 0 : 1;
