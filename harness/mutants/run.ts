// Runs one mutant, as a process: the core is loaded with that one change, then the simulation (or the test
// that ought to notice) runs on it. `none` runs the simulation on the core as it is, which must notice
// nothing.

import { registerHooks, stripTypeScriptTypes } from "node:module";
import { pathToFileURL } from "node:url";
import { exits } from "./exits.ts";
import { type Mutant, mutants } from "./mutants.ts";

/** Seeds tried before a mutant counts as a survivor. */
const seedsMax = 120;
const controlSeeds = 20;

const core = `${import.meta.dirname}/../../core`;
const [name = ""] = process.argv.slice(2);
const mutant = mutants[Number(name)];
if (mutant === undefined && name !== "none") {
  console.error(`There is no mutant ${name}; they are numbered from 0 to ${mutants.length - 1}.`);
  process.exit(exits.impossible);
}
if (mutant !== undefined) breakCore(mutant);

if (mutant?.noticedBy !== undefined) {
  await import(pathToFileURL(`${core}/${mutant.noticedBy}`).href);
} else {
  const { simulate } = await import("../sim/simulate.ts");
  for (let seed = 1; seed <= (mutant === undefined ? controlSeeds : seedsMax); seed++) {
    const { violation } = simulate(seed);
    if (violation === undefined) continue;
    console.log(`seed ${seed}: ${violation.message}`);
    process.exit(exits.noticed);
  }
}

/** A change that cannot be made, or is no program any more, proves nothing and must not pass for noticed. */
function breakCore({ file, find, replace }: Mutant): void {
  const changed = pathToFileURL(`${core}/${file}`).href;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== changed) return loaded;
      const source = String(loaded.source);
      if (source.split(find).length !== 2) {
        console.error(`${file} does not have exactly once: ${find}`);
        process.exit(exits.impossible);
      }
      const broken = source.replace(find, () => replace);
      try {
        stripTypeScriptTypes(broken);
      } catch (error) {
        console.error(`${file} is no program any more: ${String(error)}`);
        process.exit(exits.impossible);
      }
      return { ...loaded, source: broken };
    },
  });
}
