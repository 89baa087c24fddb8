// `npm run sim -- --seeds N [--seed S] [--json FILE] [--report]`: simulates N seeds from S on, prints what
// broke and how to repeat it, keeps failing seeds, and with --report measures predictions, shares and
// deadlines.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { failureText, tallyText } from "./sim/printed.ts";
import { keepSeed } from "./sim/seeds.ts";
import { combineDigests, type Verdict } from "./sim/simulate.ts";
import { suiteReport } from "./sim/suite-report.ts";
import { swarm } from "./sim/swarm.ts";
import { addTo, sum, type Tally } from "./sim/tally.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    report: { type: "boolean", default: false },
  },
});
const startedAt = new Date();
const first = Number(values.seed);
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => first + i);

const verdicts = await swarm(seeds, (verdict) => {
  if (verdict.violation === undefined) return;
  console.log(failureText(verdict));
  keepSeed(verdict);
});
summarize(verdicts);
const { figuresOf, reportText } = await import("./sim/accuracy.ts");
const figures = values.report ? figuresOf() : [];
if (values.report) console.log(reportText(figures));
const report = suiteReport({ startedAt, verdicts, figures });
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
process.exitCode = report.ok ? 0 : 1;

function summarize(all: readonly Verdict[]): void {
  const outcomes: Tally = {};
  const faults: Tally = {};
  const refusals: Tally = {};
  const notes: Tally = {};
  for (const verdict of all) {
    addTo(outcomes, verdict.outcomes);
    addTo(faults, verdict.faults);
    addTo(refusals, verdict.refusals);
    addTo(notes, verdict.notes);
  }
  console.log(tallyText("outcomes", outcomes));
  console.log(tallyText("refusals", refusals));
  console.log(tallyText("faults", faults));
  console.log(tallyText("notes", notes));
  const failed = all.filter(({ violation }) => violation !== undefined).length;
  const events = all.reduce((total, verdict) => total + verdict.events, 0);
  const seconds = ((Date.now() - startedAt.getTime()) / 1000).toFixed(1);
  const tasks = `${sum(outcomes)} tasks, ${sum(faults)} faults, ${events} events`;
  console.log(`${all.length} seeds, ${tasks}, ${seconds} s, digest ${combineDigests(all)}`);
  console.log(`${all.length - failed} seeds passed, ${failed} failed`);
}
