// What the judge of the poems promises: it counts by the grammar's table and is not fooled by near misses.

import assert from "node:assert/strict";
import test from "node:test";
import { countSyllables, names, scans } from "./scan.ts";

const syllables = new Map([
  ["the", 1],
  ["old", 1],
  ["pond", 1],
  ["a", 1],
  ["frog", 1],
  ["jumps", 1],
  ["in", 1],
  ["silent", 2],
  ["water's", 2],
  ["into", 2],
  ["sound", 1],
  ["of", 1],
]);
const poem = "the old silent pond —\na frog jumps into the pond\nthe old water's sound";

test("a line has the syllables of its words, whatever stands between them", () => {
  assert.equal(countSyllables("the old silent pond —", syllables), 5);
  assert.equal(countSyllables("The old, SILENT pond!", syllables), 5);
  assert.equal(countSyllables("the water's sound", syllables), 4);
});

test("a word that the grammar does not know has no count", () => {
  assert.equal(countSyllables("the old silnt pond", syllables), undefined);
});

test("three lines of five, seven and five syllables scan", () => {
  assert.equal(scans(poem, syllables), true);
  assert.equal(scans(`\n${poem}\n`, syllables), true);
});

test("a line too many, too few or of the wrong length does not scan", () => {
  assert.equal(scans(`${poem}\nthe old silent pond`, syllables), false);
  assert.equal(scans(poem.replace(/\n[^\n]*$/, ""), syllables), false);
  assert.equal(scans(poem.replace("silent ", ""), syllables), false);
  assert.equal(scans("", syllables), false);
});

test("a poem names its subject only as whole words, in the number it was asked for", () => {
  assert.equal(names(poem, "frog"), true);
  assert.equal(names(poem, "Pond"), true);
  assert.equal(names(poem, "silent pond"), true);
  assert.equal(names(poem, "frogs"), false);
  assert.equal(names(poem, "on"), false);
});
