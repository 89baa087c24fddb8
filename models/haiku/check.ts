// `npm run haiku-check`: asks the model for poems as people do, with the real llama.cpp, and judges
// them by the grammar. Ends with 1 if fewer scan or name their subject than the model card promises.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { readGrammar } from "./grammar.ts";
import { openPoet, SAMPLING } from "./llama.ts";
import { pick, seeded } from "./random.ts";
import { names, scans } from "./scan.ts";
import { writePrompt } from "./write.ts";

const SCANNED_MIN = 0.98;
const NAMED_MIN = 0.95;

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: join(import.meta.dirname, "haiku.gguf") },
    count: { type: "string", default: "200" },
    seed: { type: "string", default: "2" },
    temperature: { type: "string", default: String(SAMPLING.temperature) },
    print: { type: "boolean", default: false },
  },
});

const count = Number(options.count);
const grammar = readGrammar();
const random = seeded(Number(options.seed));
const poet = await openPoet(options.model);
const poems = new Set<string>();
let scanned = 0;
let named = 0;
let tokens = 0;
let seconds = 0;
for (let at = 0; at < count; at++) {
  const subject = pick(random, grammar.subjects);
  const prompt = writePrompt(grammar, subject, random);
  const startedAt = performance.now();
  // Every other poem is asked for without the chat template: both doors lead to the same model.
  const settings = { chat: at % 2 === 0, seed: at + 1, temperature: Number(options.temperature) };
  const written = await poet.write(prompt, settings);
  seconds += (performance.now() - startedAt) / 1000;
  tokens += written.tokens;
  poems.add(written.text);
  const isScanned = scans(written.text, grammar.syllables);
  const isNamed = names(written.text, subject.name);
  scanned += isScanned ? 1 : 0;
  named += isNamed ? 1 : 0;
  const faults = [isScanned ? "" : "does not scan", isNamed ? "" : "does not name its subject"];
  const fault = faults.filter((text) => text !== "").join(", ");
  if (options.print || fault) console.log(`> ${prompt}${fault && `   (${fault})`}\n${written.text}\n`);
}
await poet.close();

const share = (part: number) => `${((100 * part) / count).toFixed(1)} %`;
console.log(`scanned   ${scanned} of ${count} (${share(scanned)}, at least ${SCANNED_MIN * 100} %)`);
console.log(`named     ${named} of ${count} (${share(named)}, at least ${NAMED_MIN * 100} %)`);
console.log(`distinct  ${poems.size} of ${count}`);
console.log(`tokens/s  ${Math.round(tokens / seconds)} (one thread, one stream, prompts included)`);
process.exitCode = scanned < SCANNED_MIN * count || named < NAMED_MIN * count ? 1 : 0;
