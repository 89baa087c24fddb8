// `npm run bench -- SUITE [--json FILE]`: measures one suite and prints each figure beside its ratio to a
// bare baseline of the same run, since machines are shared and drift.

import { parseArgs } from "node:util";
import { writeSuite } from "../scripts/test/suite.ts";
import { admissionBench } from "./bench/admission.ts";
import { coreBench } from "./bench/core.ts";
import { engineBench } from "./bench/engine.ts";
import type { Bench } from "./bench/figure.ts";
import { printFigures } from "./bench/print.ts";
import { relayBench } from "./bench/relay.ts";
import { streamsBench } from "./bench/streams.ts";

const suites: Readonly<Record<string, Bench>> = {
  core: coreBench,
  admission: admissionBench,
  relay: relayBench,
  streams: streamsBench,
  engine: engineBench,
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } });
const [name = ""] = positionals;
const bench = suites[name];
if (bench === undefined) {
  console.error(`Name the suite to measure: npm run bench -- ${Object.keys(suites).join(" | ")}.`);
  process.exit(2);
}

const startedAt = new Date();
const { figures, conditions } = await bench();
printFigures(name, figures, conditions);
const missed = figures.filter((figure) => figure.met === false);
if (values.json !== undefined) {
  writeSuite(values.json, `${import.meta.dirname}/..`, {
    suite: `bench-${name}`,
    ok: missed.length === 0,
    startedAt,
    figures,
    counts: { figures: figures.length, missed: missed.length },
    failures: missed,
  });
}
