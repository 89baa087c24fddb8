import assert from "node:assert/strict";
import { test } from "node:test";
import Type from "typebox";
import { OrchError } from "./errors.ts";
import { accepted, distance, parser, problemText } from "./parse.ts";

const Sample = Type.Object({
  count: Type.Integer({ minimum: 1, maximum: 5 }),
  word: Type.Enum(["x", "y"]),
  inner: Type.Optional(
    Type.Object(
      { name: Type.String({ minLength: 1, maxLength: 3 }), capacity: Type.Optional(Type.Number()) },
      { additionalProperties: false },
    ),
  ),
  list: Type.Array(Type.Object({ n: Type.Number({ exclusiveMinimum: 0 }) })),
  either: Type.Union([Type.Null(), Type.String()]),
  token: Type.Optional(Type.String({ minLength: 16, "x-secret": true })),
});
const parseSample = parser(Sample);
const good = { count: 1, word: "x", list: [{ n: 1 }], either: null };

function texts(value: unknown): string[] {
  return parseSample.problems(value).map(problemText);
}

test("a value that fits comes back typed and without the fields nobody knows", () => {
  const parsed = parseSample({ ...good, extra: 1, list: [{ n: 2, more: true }] });
  assert.deepEqual(parsed, { count: 1, word: "x", list: [{ n: 2 }], either: null });
});

test("every problem is told at once, each with its path, what was given and what is accepted", () => {
  const bad = { word: "z", inner: { name: "long", capcity: 1 }, list: [{ n: 1 }, { n: 0 }], either: 5 };
  assert.deepEqual(texts(bad), [
    "count: given nothing; accepted: an integer 1..5.",
    'word: given "z"; accepted: one of x, y.',
    "inner.capcity: given an unknown key; accepted: capacity (did you mean that?).",
    'inner.name: given "long"; accepted: a string of 1 to 3 characters.',
    "list[1].n: given 0; accepted: a number above 0.",
    "either: given 5; accepted: null or a string.",
  ]);
});

test("more problems than the library lists by default are all found", () => {
  const list = Array.from({ length: 40 }, () => ({ n: -1 }));
  assert.equal(parseSample.problems({ ...good, list }).length, 40);
});

test("the error of a refused value names the first field and counts the others", () => {
  assert.throws(
    () => parseSample({ ...good, count: 9, word: "q" }),
    (error: unknown) =>
      error instanceof OrchError &&
      error.code === "INVALID_PARAMS" &&
      error.message === "count: given 9; accepted: an integer 1..5. (and 1 more)",
  );
});

test("a secret, a long text and a control character never reach a message", () => {
  assert.deepEqual(texts({ ...good, token: "hunter2" }), [
    "token: given a hidden value; accepted: a string of at least 16 characters.",
  ]);
  assert.deepEqual(texts({ ...good, word: "p".repeat(5000) }), [
    "word: given a text of 5000 characters; accepted: one of x, y.",
  ]);
  const [forged] = texts({ ...good, inner: { name: "a", "x\nX-Evil: 1": 1 } });
  assert.equal(forged, 'inner["x\\nX-Evil: 1"]: given an unknown key; accepted: one of name, capacity.');
});

test("something that is no object at all is told as such", () => {
  for (const value of [null, 3, "text", [], undefined]) {
    const [problem] = texts(value);
    assert.match(problem ?? "", /^The value: given .+; accepted: an object\.$/);
  }
});

test("inherited names are not fields", () => {
  const parsed = parseSample(
    JSON.parse('{"count":1,"word":"x","list":[],"either":null,"__proto__":{"a":1}}'),
  );
  assert.equal(Object.getPrototypeOf(parsed), Object.prototype);
  assert.deepEqual(Object.keys(parsed), ["count", "word", "list", "either"]);
});

test("what a schema accepts reads as words", () => {
  const rows: [object, string][] = [
    [Type.Integer({ minimum: 0 }), "an integer of at least 0"],
    [Type.Number({ maximum: 2 }), "a number of at most 2"],
    [Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), "an integer 0..2^53-1"],
    [Type.Number({ exclusiveMinimum: 0, maximum: 10 }), "a number above 0, at most 10"],
    [Type.Boolean(), "true or false"],
    [Type.Literal("ok"), '"ok"'],
    [
      Type.Array(Type.String(), { minItems: 1, uniqueItems: true }),
      "a list of at least 1 items, each a string, none twice",
    ],
    [Type.String({ pattern: "^a+$", "x-accepts": "some a" }), "some a"],
    [Type.Unknown(), "a JSON value"],
  ];
  for (const [schema, words] of rows) assert.equal(accepted(schema as Record<string, unknown>), words);
});

test("the distance of two words counts the edits between them", () => {
  assert.equal(distance("kitten", "sitting"), 3);
  assert.equal(distance("", "abc"), 3);
  assert.equal(distance("same", "same"), 0);
});
