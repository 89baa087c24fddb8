// Writes what the model learns from: a prompt about a subject, and a haiku that the grammar makes of it. A
// poem either scans and reads well or is not written; the caller's random numbers decide everything.

import type { Grammar, Lines, Subject } from "./grammar.ts";
import { pick, type Random } from "./random.ts";
import { countSyllables, FORM, wordsOf } from "./scan.ts";

const TRIES = 400;
const CUT = " —";
/** People write "the Moon" too. */
const CAPITALISED = 0.1;

/** A haiku about the subject: three lines without a newline at the end. */
export function writePoem(grammar: Grammar, subject: Subject, random: Random): string {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const lines = tryPoem(grammar, subject, random);
    if (lines) return lines.join("\n");
  }
  throw new Error(`The grammar has no poem about ${subject.name}.`);
}

/** One of the grammar's ways to ask for a poem about the subject. */
export function writePrompt(grammar: Grammar, subject: Subject, random: Random): string {
  const asked = pick(random, grammar.prompts.about);
  const name = random() < CAPITALISED ? capitalised(subject.name) : subject.name;
  const noun = withArticle({ ...subject, name }, random);
  return asked.replace("$s", () => (asked === "$s" && random() < 0.5 ? capitalised(noun) : noun));
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function withArticle({ name, number }: Subject, random: Random): string {
  const roll = random();
  if (number === "one") {
    if (roll < 0.5) return `the ${name}`;
    if (roll < 0.8) return withIndefinite(`a ${name}`);
    return roll < 0.87 ? `my ${name}` : name;
  }
  if (number === "many") return roll < 0.25 ? `the ${name}` : roll < 0.3 ? `my ${name}` : name;
  return roll < 0.15 ? `the ${name}` : name;
}

type Part = { text: string; target: number };

function tryPoem(grammar: Grammar, subject: Subject, random: Random): string[] | undefined {
  const lines = grammar.lines.get(subject.kind);
  if (!lines) return undefined;
  const setting = pick(random, lines.settings);
  const parts = arrange(lines, setting, random);
  if (!parts) return undefined;
  const written: string[] = [];
  for (const { text, target } of parts) {
    const line = fill(grammar, subject, text, target, random);
    if (line === undefined) return undefined;
    written.push(line);
  }
  const cutAfter = parts.length === 3 ? cutOf(parts, setting) : -1;
  if (repeats(written)) return undefined;
  return written.map((line, at) => (at === cutAfter ? line.replace(/,$/, "") + CUT : line));
}

/** Which lines, in which order: setting and sentence, sentence and setting, or a name and its answer. */
function arrange(lines: Lines, setting: string, random: Random): Part[] | undefined {
  const roll = random();
  const choice = roll < 0.4 ? lines.open : roll < 0.75 ? lines.close : lines.answer;
  if (choice.length === 0) return undefined;
  const pair = pick(random, choice).split(" / ");
  const texts =
    choice === lines.open
      ? [setting, ...pair]
      : choice === lines.close
        ? [...pair, setting]
        : [pick(random, lines.name), ...pair];
  return texts.map((text, at) => ({ text, target: FORM[at] ?? 0 }));
}

/** The cut stands where the setting or the name meets the sentence. */
function cutOf(parts: readonly Part[], setting: string): number {
  return parts[2]?.text === setting ? 1 : 0;
}

/** A word of any weight that comes twice in three lines, alone or inside another, reads like a slip. */
function repeats(lines: readonly string[]): boolean {
  const heavy = lines.flatMap(wordsOf).filter((word) => word.length > 3 && word !== "with");
  return heavy.some((word, at) => heavy.some((other, place) => place !== at && other.includes(word)));
}

/** Resolves a line's choices; undefined if it does not come out at the count, which it may the next time. */
export function fill(
  { adjectives, draws, syllables }: Grammar,
  { name, kind, number }: Subject,
  text: string,
  target: number,
  random: Random,
): string | undefined {
  if (number !== "one" && /(?<![$\w])(a|one) (\$a )?\$s/.test(text)) return undefined;
  const line = text
    .replace(/\[([^/\]]*)\/([^\]]*)\]/g, (_, singular, plural) => (number === "many" ? plural : singular))
    .replace(/\(([^)]*)\)/g, (_, choices: string) => pick(random, choices.split("|")))
    .replace(/<(\w+)>/g, (_, list: string) => pick(random, draws.get(list) ?? []))
    .replace(/ ,/g, ",")
    .replace("$s", name);
  const missing = target - (countSyllables(line.replace("$a ", ""), syllables) ?? target + 1);
  if (!line.includes("$a ")) return missing === 0 ? withIndefinite(line) : undefined;
  if (missing === 0) return withIndefinite(line.replace("$a ", ""));
  const fitting = (adjectives.get(kind) ?? []).filter((word) => syllables.get(word) === missing);
  return fitting.length === 0 ? undefined : withIndefinite(line.replace("$a", pick(random, fitting)));
}

/** "a owl" → "an owl"; of the words whose letter and sound disagree the grammar knows two kinds. */
function withIndefinite(text: string): string {
  return text.replace(/\ba (?=[aeiou])(?!uni|one)/gi, (article) => `${article.trim()}n `);
}
