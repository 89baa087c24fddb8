import assert from "node:assert/strict";
import { test } from "node:test";
import { OrchError } from "./errors.ts";
import { schemaLimits, schemaProblem } from "./schema-limits.ts";
import { parseTaskRequest } from "./task.ts";

const request = {
  task_id: "t",
  session_id: "s",
  workload: "completion",
  model_ref: "haiku",
  engine: "llamacpp",
  ctx: 0,
  priority: "batch",
  max_tokens: 4,
  deadline_ms: 1000,
};

const { bytes, enumValues, properties } = schemaLimits;
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const named = (count: number) => Object.fromEntries(numbers(count).map((each) => [`p${each}`, true]));
/** Short to write, and twice as large with every step. */
const doubling = (steps: number) => ({
  $ref: "#/$defs/a0",
  $defs: Object.fromEntries(
    numbers(steps).map((step) => {
      const next = { $ref: `#/$defs/a${step + 1}` };
      return [`a${step}`, step === steps - 1 ? { type: "string" } : { oneOf: [next, next] }];
    }),
  ),
});
const again = { $ref: "#/$defs/a" };
const choice = (...oneOf: object[]) => ({ ...again, $defs: { a: { oneOf } } });
const operation = (op: string, required = ["op"]) => ({
  type: "object",
  properties: { op: { const: op }, left: again },
  required,
});

test("a schema up to each limit is taken, and beyond it is refused by name", () => {
  const rows: [within: object, beyond: object, says: RegExp][] = [
    [{ const: "x".repeat(bytes - 12) }, { const: "x".repeat(bytes - 11) }, /16384 bytes/],
    [{ enum: numbers(enumValues) }, { enum: numbers(enumValues + 1) }, /256 values in one enum/],
    [{ enum: [] }, { enum: numbers(60_000) }, /16384 bytes/],
    [{ properties: named(properties) }, { properties: named(properties + 1) }, /256 properties in all/],
    [
      { properties: named(200) },
      { properties: named(200), items: { properties: named(57) } },
      /256 properties in all/,
    ],
    [{ properties: named(9) }, { $defs: { a: { properties: named(257) } } }, /256 properties in all/],
    [doubling(10), doubling(14), /4096 parts/],
    [{ items: again, $defs: { a: {} } }, { $ref: "#/items" }, /\$ref must point to/],
    [{ items: again, $defs: { a: {} } }, { $ref: "#/$defs/a~0" }, /\$ref must point to/],
  ];
  for (const [within, beyond, says] of rows) {
    assert.equal(schemaProblem(within as never), undefined);
    assert.match(String(schemaProblem(beyond as never)), says);
  }
});

test("names and values that look like keywords are none", () => {
  const schema = {
    properties: { enum: { type: "string" }, $ref: true },
    default: { $ref: "x", enum: numbers(300) },
  };
  assert.equal(schemaProblem(schema), undefined);
});

test("a definition may contain itself, but not so that its readings double with each round", () => {
  const list = { type: "array", items: again };
  const fine = [
    choice(list, { type: "string" }),
    choice({ type: "string" }, list, { type: "object", additionalProperties: again }),
    choice(operation("add"), operation("sub"), { type: "number" }),
    choice(list, { type: "array", items: { type: "string" } }),
  ];
  for (const schema of fine) assert.equal(schemaProblem(schema), undefined, JSON.stringify(schema));
  const doubled = [
    choice(list, { ...list, minItems: 2 }),
    choice(operation("add"), operation("add")),
    choice(operation("add", []), operation("sub", [])),
    choice({ anyOf: [list, { type: "null" }] }, list),
    { ...again, $defs: { a: { oneOf: [{ $ref: "#/$defs/b" }, list] }, b: { type: "array", items: again } } },
  ];
  for (const schema of doubled) assert.match(String(schemaProblem(schema)), /begin alike/);
});

test("a schema nested without end is refused without being followed", () => {
  let schema: Record<string, unknown> = {};
  for (let level = 0; level < 20_000; level++) schema = { not: schema };
  assert.match(String(schemaProblem(schema)), /nest at most 64/);
});

test("a request with a schema that no engine should compile is refused at the edge, by its field", () => {
  assert.doesNotThrow(() => parseTaskRequest({ ...request, sampling: { json_schema: { type: "string" } } }));
  assert.throws(
    () => parseTaskRequest({ ...request, sampling: { json_schema: { enum: numbers(60_000) } } }),
    (error: unknown) =>
      error instanceof OrchError &&
      error.code === "INVALID_PARAMS" &&
      error.message.startsWith("sampling.json_schema: give a schema of at most 16384 bytes"),
  );
});
