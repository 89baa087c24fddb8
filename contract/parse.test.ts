import assert from "node:assert/strict";
import { test } from "node:test";
import Type from "typebox";
import { accepted } from "./accepted.ts";
import { distance } from "./distance.ts";
import { OrchError } from "./errors.ts";
import { parser } from "./parse.ts";
import { problemText } from "./problem.ts";
import { Sampling } from "./sampling.ts";

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
    'inner.name: given "long"; accepted: a string of 1 to 3 characters.',
    "list[1].n: given 0; accepted: a number above 0.",
    "either: given 5; accepted: null or a string.",
    "inner.capcity: given an unknown key; accepted: capacity (did you mean that?).",
  ]);
});

test("more problems than the library lists by default are all found", () => {
  const list = Array.from({ length: 40 }, () => ({ n: -1 }));
  assert.equal(parseSample.problems({ ...good, list }).length, 40);
});

const strangers = (many: number) =>
  Object.fromEntries(Array.from({ length: many }, (_, index) => [`stranger${index}`, 1]));

test("any number of unknown keys is refused, and hides no wrong value", () => {
  for (const many of [1, 199, 250, 5000]) {
    const value = { ...good, count: 9, inner: { name: "long", ...strangers(many) } };
    const problems = parseSample.problems(value);
    assert.deepEqual(
      problems.filter((each) => !each.unknownKey).map((each) => each.path),
      ["count", "inner.name"],
    );
    assert.equal(problems.length, 2 + Math.min(many, 200));
    assert.throws(() => parseSample({ ...good, inner: { name: "a", ...strangers(many) } }), OrchError);
  }
});

test("a value that fails in more places than are listed is never taken for good", () => {
  const Choice = Type.Object({
    either: Type.Union([Type.Array(Type.Object({ n: Type.Number() })), Type.Null()]),
  });
  const either = Array.from({ length: 1000 }, () => ({ n: "x" }));
  assert.notDeepEqual(parser(Choice).problems({ either }), []);
  let reads = 0;
  const shifty = {
    get n() {
      return ++reads === 2 ? "wrong at the check, which is the second look" : 1;
    },
  };
  assert.deepEqual(parser(Type.Record(Type.String(), Type.Number())).problems(shifty).map(problemText), [
    "The value: given an object; accepted: an object.",
  ]);
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

test("a text where a group or a list belongs is not repeated, since it may be a secret", () => {
  assert.deepEqual(texts({ ...good, inner: "key=hunter2", list: "hunter2" }), [
    "inner: given a text of 11 characters; accepted: an object.",
    "list: given a text of 7 characters; accepted: a list, each an object.",
  ]);
});

test("a number that JSON cannot say is told by its name", () => {
  for (const [count, name] of [
    [Number.POSITIVE_INFINITY, "Infinity"],
    [Number.NEGATIVE_INFINITY, "-Infinity"],
    [Number.NaN, "NaN"],
  ] as const) {
    assert.deepEqual(texts({ ...good, count }), [`count: given ${name}; accepted: an integer 1..5.`]);
  }
});

test("a name of a megabyte costs no time and leaves a message that a person can read", () => {
  const Deep = Type.Object({ map: Type.Record(Type.String(), Type.Object({ n: Type.Number() })) });
  for (const name of ["k".repeat(1_000_000), "9".repeat(1_000_000), "\n".repeat(1_000_000)]) {
    const started = performance.now();
    const [unknown] = parser(Sampling)
      .problems({ [name]: 1 })
      .map(problemText);
    const [within] = parser(Deep).problems({ map: { [name]: { n: "x" } } });
    assert.ok(performance.now() - started < 500, "one request must not hold up the loop");
    assert.ok((unknown ?? "").length < 400, unknown);
    assert.ok((within?.path ?? "").length < 200, within?.path);
  }
});

test("an open value may be nested 64 levels deep and no deeper, and its field is named", () => {
  const nested = (levels: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
    return value;
  };
  const Open = Type.Object(
    { metadata: Type.Record(Type.String(), Type.Unknown()), word: Type.Optional(Type.String()) },
    { additionalProperties: true },
  );
  const parseOpen = parser(Open);
  const fits = { metadata: nested(64), extra: nested(64) };
  assert.deepEqual(parseOpen(fits), fits);
  for (const levels of [66, 20_000, 1_000_000]) {
    const said = "given a value nested deeper than 64 levels; accepted: at most 64 levels.";
    assert.deepEqual(parseOpen.problems({ metadata: nested(levels) }).map(problemText), [
      `metadata: ${said}`,
    ]);
    assert.deepEqual(parseOpen.problems({ metadata: {}, extra: nested(levels) }).map(problemText), [
      `extra: ${said}`,
    ]);
    assert.deepEqual(parseOpen.problems({ metadata: {}, word: nested(levels) }).map(problemText), [
      `word: ${said}`,
    ]);
  }
});

test("an open object keeps its other keys, and the branch of a union that fits is pruned", () => {
  const Shape = Type.Object({
    open: Type.Object({ n: Type.Object({ a: Type.Number() }) }, { additionalProperties: true }),
    union: Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.Number() }), Type.Null()]),
  });
  const junk = JSON.parse('{"__proto__":{"x":1},"more":[1]}');
  const parsed = parser(Shape)({ open: { n: { a: 1, junk }, ...junk }, union: { b: 1, junk } });
  assert.deepEqual(parsed, { open: { n: { a: 1 }, ...junk }, union: { b: 1 } });
  assert.equal(Object.getPrototypeOf(parsed.open), Object.prototype);
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
