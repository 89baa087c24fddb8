// What the grammar promises of every text the model learns from: it scans, it names its subject, it does not
// stutter, and a seed decides it.

import assert from "node:assert/strict";
import test from "node:test";
import { type Lines, readGrammar, type Subject } from "./grammar.ts";
import { seeded } from "./random.ts";
import { names, scans, wordsOf } from "./scan.ts";
import { fill, writePoem, writePrompt } from "./write.ts";

const POEMS_EACH = 8;
const grammar = readGrammar();
const random = seeded(11);
const poems = grammar.subjects.flatMap((subject) =>
  Array.from({ length: POEMS_EACH }, () => ({ subject, poem: writePoem(grammar, subject, random) })),
);

test("every poem scans by the grammar's own counts", () => {
  for (const { poem } of poems) assert.ok(scans(poem, grammar.syllables), poem);
});

test("every poem names its subject", () => {
  for (const { subject, poem } of poems) assert.ok(names(poem, subject.name), `${subject.name}:\n${poem}`);
});

test("every poem has one cut and no mark of the grammar left in it", () => {
  for (const { poem } of poems) {
    assert.equal(poem.split(" —").length, 2, poem);
    assert.match(poem, /^[a-zA-Z' ,—\n]+$/);
    assert.doesNotMatch(poem, /\ba [aeio]| ,| {2}/);
  }
});

test("the lines of a subject leave room for variety", () => {
  for (const { name } of grammar.subjects) {
    const about = poems.filter(({ subject }) => subject.name === name).map(({ poem }) => poem);
    assert.ok(new Set(about).size >= POEMS_EACH - 2, about.join("\n\n"));
  }
});

test("several of a thing take the verbs of several", () => {
  const crows: Subject = { name: "crows", kind: "bird", number: "many" };
  for (let at = 0; at < 200; at++) {
    const words = wordsOf(writePoem(grammar, crows, random)).join(" ");
    assert.doesNotMatch(words, /\bcrows (is|has|was|turns|calls|settles)\b|\ba (\w+ )?crows\b/);
  }
});

test("an unknown subject gets a poem that scans and makes no claim to know it", () => {
  for (let at = 0; at < 100; at++) {
    const poem = writePoem(grammar, { name: "Kubernetes", kind: "unknown", number: "mass" }, random);
    assert.ok(scans(poem, grammar.syllables), poem);
    assert.ok(!names(poem, "Kubernetes"), poem);
  }
});

test("a prompt asks for its subject, with an article that fits it", () => {
  const owl: Subject = { name: "owl", kind: "bird", number: "one" };
  const rain: Subject = { name: "rain", kind: "fall", number: "mass" };
  for (let at = 0; at < 300; at++) {
    assert.match(writePrompt(grammar, owl, random), /\b(the |an |my )?owl\b/i);
    assert.doesNotMatch(writePrompt(grammar, owl, random), /\ba owl\b/i);
    assert.doesNotMatch(writePrompt(grammar, rain, random), /\ban? rain\b/i);
  }
});

test("the same seed writes the same poem, another seed another", () => {
  const subject = grammar.subjects[0];
  assert.ok(subject);
  const write = (seed: number) => writePoem(grammar, subject, seeded(seed));
  assert.equal(write(5), write(5));
  assert.ok(new Set([1, 2, 3, 4, 5, 6].map(write)).size > 1);
});

test("every subject's words have a count", () => {
  for (const { name } of grammar.subjects) {
    for (const word of wordsOf(name)) assert.ok(grammar.syllables.has(word), word);
  }
});

test("every line of the grammar comes out at its length for a subject of its kind", () => {
  const starts: Record<keyof Lines, readonly number[]> = {
    settings: [5],
    open: [7, 5],
    close: [5, 7],
    name: [5],
    answer: [7, 5],
  };
  for (const [kind, lines] of grammar.lines) {
    const subjects = grammar.subjects.filter((subject) => subject.kind === kind);
    if (kind === "unknown") subjects.push({ name: "", kind, number: "mass" });
    for (const [part, targets] of Object.entries(starts)) {
      for (const text of lines[part as keyof Lines].map((entry) => entry.split(" / "))) {
        assert.equal(text.length, targets.length, text.join(" / "));
        for (const [at, line] of text.entries()) {
          const target = targets[at] ?? 0;
          const comesOut = (subject: Subject) =>
            Array.from({ length: 20 }, () => fill(grammar, subject, line, target, random)).some(Boolean);
          assert.ok(subjects.some(comesOut), `${kind}.${part}: ${line}`);
        }
      }
    }
  }
});
