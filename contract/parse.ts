// From `unknown` to a typed value, once, at the edge. A value that does not fit becomes problems that a
// person can act on: the path of the field, what was given (never a secret, never a long text) and what is
// accepted.

import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { Settings } from "typebox/system";
import { OrchError } from "./errors.ts";

export interface Problem {
  readonly path: string;
  readonly given: string;
  readonly accepted: string;
  /** An unknown key: an error where the caller is strict, a warning where it is compatible. */
  readonly unknownKey: boolean;
}

export interface Parser<T> {
  /** The typed value without unknown fields, or INVALID_PARAMS naming the first field that does not fit. */
  (value: unknown): T;
  problems(value: unknown): Problem[];
}

type Json = Record<string, unknown>;
type Issue = ReturnType<ReturnType<typeof Compile>["Errors"]>[number];

/** Problems listed at once; beyond it a hostile body would only cost memory. */
const problemsMax = 200;

/**
 * Builds the parser of a schema. It is compiled at the first use, so that a daemon pays for what it serves.
 */
export function parser<S extends TSchema>(schema: S): Parser<Static<S>> {
  let compiled: ReturnType<typeof Compile> | undefined;
  const validator = () => {
    compiled ??= Compile(schema as TSchema);
    return compiled;
  };
  const problems = (value: unknown): Problem[] =>
    validator().Check(value) ? [] : explain(schema, value, allErrors(validator(), value));
  const parse = (value: unknown): Static<S> => {
    if (!validator().Check(value)) throw invalidParams(problems(value));
    return prune(schema, value) as Static<S>;
  };
  return Object.assign(parse, { problems });
}

/** The library caps its error list at 8 through a process-wide setting; a config must list every mistake. */
function allErrors(validator: ReturnType<typeof Compile>, value: unknown): Issue[] {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: problemsMax });
  try {
    return validator.Errors(value);
  } finally {
    Settings.Set({ maxErrors });
  }
}

export function invalidParams(problems: readonly Problem[]): OrchError {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  return new OrchError(
    "INVALID_PARAMS",
    first ? `${problemText(first)}${more}` : "The request is not valid.",
  );
}

/** One line a person can act on: `pools[0].queue.capacity: given 0; accepted: an integer 1..10000.` */
export function problemText({ path, given, accepted }: Problem): string {
  return `${path === "" ? "The value" : path}: given ${given}; accepted: ${accepted}.`;
}

function explain(schema: TSchema, root: unknown, issues: readonly Issue[]): Problem[] {
  const found = new Map<string, Problem>();
  const add = (path: string, given: string, accepted: string, unknownKey = false) => {
    if (!found.has(path)) found.set(path, { path, given, accepted, unknownKey });
  };
  for (const issue of issues) {
    const at = issue.instancePath;
    const owner = schemaAt(schema, outermostUnion(issue.schemaPath));
    if (issue.keyword === "required") {
      for (const key of (issue.params as { requiredProperties: string[] }).requiredProperties) {
        add(pathText(`${at}/${escapePointer(key)}`), "nothing", accepted(property(owner, key)));
      }
    } else if (issue.keyword === "additionalProperties") {
      const known = Object.keys((owner.properties as Json | undefined) ?? {});
      for (const key of (issue.params as { additionalProperties: string[] }).additionalProperties) {
        add(pathText(`${at}/${escapePointer(key)}`), "an unknown key", knownKeys(key, known), true);
      }
    } else if (issue.keyword !== "boolean") {
      add(pathText(at), given(owner, valueAt(root, at)), accepted(owner));
    }
  }
  return [...found.values()];
}

/**
 * A union fails once per branch; its reader wants one sentence about the whole, so errors climb to the union.
 */
function outermostUnion(schemaPath: string): string {
  const union = /\/(anyOf|oneOf)\/\d+/.exec(schemaPath);
  return union ? schemaPath.slice(0, union.index) : schemaPath;
}

function schemaAt(schema: TSchema, pointer: string): Json {
  return valueAt(schema, pointer.replace(/^#/, "")) as Json;
}

function property(owner: Json, key: string): Json {
  return ((owner.properties as Json | undefined)?.[key] ?? {}) as Json;
}

function valueAt(root: unknown, pointer: string): unknown {
  return steps(pointer).reduce<unknown>((value, key) => (value as Json | undefined)?.[key], root);
}

function steps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

const escapePointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

/**
 * `/pools/0/queue` → `pools[0].queue`; a key that is not a plain word is quoted, so that it cannot forge a
 * line.
 */
function pathText(pointer: string): string {
  let text = "";
  for (const step of steps(pointer)) {
    if (/^\d+$/.test(step)) text += `[${step}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step.slice(0, 64))}]`;
  }
  return text;
}

function given(owner: Json, value: unknown): string {
  if (value === undefined) return "nothing";
  if (owner["x-secret"] === true) return "a hidden value";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "string" && value.length > 40) return `a text of ${value.length} characters`;
  return JSON.stringify(value);
}

/** What a schema accepts, in words. `x-accepts` on a schema replaces what can be derived. */
export function accepted(schema: Json): string {
  if (typeof schema["x-accepts"] === "string") return schema["x-accepts"];
  if (Array.isArray(schema.enum)) return oneOf(schema.enum);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map((branch) => accepted(branch as Json)).join(" or ");
  switch (schema.type) {
    case "integer":
    case "number":
      return `${schema.type === "integer" ? "an integer" : "a number"}${range(schema)}`;
    case "string":
      return `a string${lengths(schema, "characters")}`;
    case "boolean":
      return "true or false";
    case "array":
      return `a list${lengths(schema, "items")}${listed(schema)}`;
    case "object":
      return "an object";
    case "null":
      return "null";
    default:
      return "a JSON value";
  }
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(", ")}`;
}

function listed(schema: Json): string {
  const items = schema.items as Json | undefined;
  if (items === undefined) return "";
  return `, each ${accepted(items)}${schema.uniqueItems === true ? ", none twice" : ""}`;
}

function range(schema: Json): string {
  const above = schema.exclusiveMinimum;
  const { minimum = above, maximum } = schema;
  if (maximum === Number.MAX_SAFE_INTEGER) return ` ${minimum}..2^53-1`;
  if (above !== undefined)
    return maximum === undefined ? ` above ${above}` : ` above ${above}, at most ${maximum}`;
  if (minimum !== undefined && maximum !== undefined) return ` ${minimum}..${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? "" : ` of at most ${maximum}`;
}

function lengths(schema: Json, unit: string): string {
  const low = schema.minLength ?? schema.minItems;
  const high = schema.maxLength ?? schema.maxItems;
  if (low !== undefined && high !== undefined) return ` of ${low} to ${high} ${unit}`;
  if (low !== undefined) return ` of at least ${low} ${unit}`;
  return high === undefined ? "" : ` of at most ${high} ${unit}`;
}

function knownKeys(key: string, known: readonly string[]): string {
  const near = known.find((name) => distance(name, key) <= Math.max(1, Math.floor(name.length / 4)));
  return near === undefined ? oneOf(known) : `${near} (did you mean that?)`;
}

/** Levenshtein distance, for "did you mean". */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1);
    }
    row = next;
  }
  return row[b.length] as number;
}

/** Leaves out fields the schema does not know. Maps (records) and open values are kept as they are. */
export function prune(schema: TSchema, value: unknown): unknown {
  const { type, properties, items } = schema as unknown as {
    type?: string;
    properties?: Record<string, TSchema>;
    items?: TSchema;
  };
  if (type === "array" && items !== undefined) return (value as unknown[]).map((item) => prune(items, item));
  if (type !== "object" || properties === undefined || value === null) return value;
  const kept: Json = {};
  for (const key in properties) {
    const field = (value as Json)[key];
    if (field !== undefined) kept[key] = prune(properties[key] as TSchema, field);
  }
  return kept;
}
