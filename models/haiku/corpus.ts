// `node models/haiku/corpus.ts --count 60000 --seed 1`: the training text, one JSON array a line: the prompt,
// the poem, and which of its lines names the subject (-1: none). train.py reads it; the same count and seed
// print the same bytes.

import { parseArgs } from "node:util";
import { type Grammar, readGrammar, type Subject } from "./grammar.ts";
import { pick, type Random, seeded } from "./random.ts";
import { names } from "./scan.ts";
import { writePoem, writePrompt } from "./write.ts";

/** Shares of the corpus that ask for nothing in particular, for an unknown word and for an invented one. */
const OPEN = 0.03;
const UNKNOWN = 0.04;
const INVENTED = 0.02;
const NATURE = /^(light|hours|air|fall|water|land|plant|bird|insect|season)$/;

const { values: options } = parseArgs({
  options: { count: { type: "string", default: "60000" }, seed: { type: "string", default: "1" } },
});
const grammar = readGrammar();
const random = seeded(Number(options.seed));
const nature = grammar.subjects.filter(({ kind }) => NATURE.test(kind));
const chunks: string[] = [];
for (let at = 0; at < Number(options.count); at++) chunks.push(JSON.stringify(writeExample(grammar, random)));
process.stdout.write(`${chunks.join("\n")}\n`);

function writeExample(grammar: Grammar, random: Random): [prompt: string, poem: string, named: number] {
  const roll = random();
  if (roll < OPEN) {
    return [pick(random, grammar.prompts.open), writePoem(grammar, pick(random, nature), random), -1];
  }
  const subject = roll < OPEN + UNKNOWN + INVENTED ? unknown(roll) : pick(random, grammar.subjects);
  const prompt = writePrompt(grammar, subject, random);
  const poem = writePoem(grammar, subject, random);
  return [vary(prompt), poem, poem.split("\n").findIndex((line) => names(line, subject.name))];
}

function unknown(roll: number): Subject {
  const name = roll < OPEN + UNKNOWN ? pick(random, grammar.unknown) : invent();
  return { name, kind: "unknown", number: roll < OPEN + UNKNOWN ? "mass" : "one" };
}

/** A word that looks like one: syllables of the subjects, shuffled. */
function invent(): string {
  const parts = Array.from({ length: 2 + Math.floor(random() * 2) }, () => {
    const { name } = pick(random, grammar.subjects);
    const from = Math.floor(random() * Math.max(1, name.length - 3));
    return name.slice(from, from + 2 + Math.floor(random() * 2)).trim();
  });
  return parts.join("");
}

/** Now and then no mark at the end, everything in lower case or in capitals, as people type. */
function vary(written: string): string {
  const prompt = random() < 0.15 ? written.replace(/[.?!]$/, "") : written;
  const roll = random();
  return roll < 0.03 ? prompt.toLowerCase() : roll < 0.04 ? prompt.toUpperCase() : prompt;
}
