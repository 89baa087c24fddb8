// Runs one mutant, as a process: the core is loaded with that one change, then the simulation (or the test
// that ought to notice) runs on it. Leaves with 1 when the change was noticed, 0 when it survived, 2 when it
// could not be made.

import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { mutants } from "./mutants.ts";

/** Seeds tried before a mutant counts as a survivor. */
const seedsMax = 120;

const mutant = mutants[Number(process.argv[2])];
if (mutant === undefined) {
  console.error(`There is no mutant ${process.argv[2]}; they are numbered from 0 to ${mutants.length - 1}.`);
  process.exit(2);
}

const core = `${import.meta.dirname}/../../core`;
const changed = pathToFileURL(`${core}/${mutant.file}`).href;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url !== changed) return loaded;
    const source = String(loaded.source);
    if (source.split(mutant.find).length !== 2) {
      console.error(`${mutant.file} does not have exactly once: ${mutant.find}`);
      process.exit(2);
    }
    return { ...loaded, source: source.replace(mutant.find, () => mutant.replace) };
  },
});

if (mutant.noticedBy !== undefined) {
  await import(pathToFileURL(`${core}/${mutant.noticedBy}`).href);
} else {
  const { simulate } = await import("../sim/simulate.ts");
  for (let seed = 1; seed <= seedsMax; seed++) {
    const { violation } = simulate(seed);
    if (violation === undefined) continue;
    console.log(`seed ${seed}: ${violation.message}`);
    process.exit(1);
  }
}
