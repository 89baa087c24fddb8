// Parts what a schema knows of a value from what it does not. It comes before every judgement, so that any
// number of unknown keys hides no wrong value, and nothing nested without end reaches code that recurses.

import type { TSchema } from "typebox";
import { Check } from "typebox/schema";
import { oneOf } from "./accepted.ts";
import { distance } from "./distance.ts";
import { type Problem, pathText, stepInto } from "./problem.ts";

/** Problems listed at once; beyond it a hostile body would only cost memory. */
export const problemsMax = 200;

/** Levels of lists and objects where any JSON is accepted. */
export const levelsMax = 64;

interface Shape {
  readonly anyOf?: readonly TSchema[];
  readonly items?: TSchema;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly additionalProperties?: unknown;
}

type Json = Record<string, unknown>;

/**
 * A copy with the fields the schema knows, in the order of the schema. Open objects keep their other keys,
 * maps and open values stay as they are. What a closed object does not know, and what is nested too deep, is
 * left out and put into `found`. The value may be of a wrong type anywhere; judging that comes later.
 */
export function prune(schema: TSchema, value: unknown, found: Problem[] = [], at = ""): unknown {
  if (!isNested(value)) return value;
  const { anyOf, items, properties } = schema as Shape;
  const branch = anyOf?.find((each) => Check(each, value));
  if (branch !== undefined) return prune(branch, value, found, at);
  if (items !== undefined && Array.isArray(value)) {
    return value.map((item, index) => prune(items, item, found, `${at}/${index}`));
  }
  if (properties !== undefined && !Array.isArray(value)) {
    return pruneObject(schema as Shape, value as Json, found, at);
  }
  if (!deeperThan(value, levelsMax)) return value;
  const given = `a value nested deeper than ${levelsMax} levels`;
  found.push({ path: pathText(at), given, accepted: `at most ${levelsMax} levels`, unknownKey: false });
  return undefined;
}

function pruneObject(schema: Shape, value: Json, found: Problem[], at: string): Json {
  const { properties = {}, additionalProperties } = schema;
  const kept: Json = {};
  for (const key of Object.keys(properties)) {
    const field = Object.hasOwn(value, key) ? value[key] : undefined;
    if (field === undefined) continue;
    kept[key] = isNested(field) ? prune(properties[key] as TSchema, field, found, stepInto(at, key)) : field;
  }
  if (additionalProperties === undefined) return kept;
  const others = Object.keys(value).filter((key) => !Object.hasOwn(properties, key));
  if (additionalProperties === true) {
    const open = others.map((key) => [key, prune({}, value[key], found, stepInto(at, key))]);
    // Spreading defines each key anew, so a key named __proto__ stays a key.
    return { ...kept, ...Object.fromEntries(open) };
  }
  for (const key of others.slice(0, Math.max(0, problemsMax - found.length))) {
    const accepted = knownKeys(key, Object.keys(properties));
    found.push({ path: pathText(stepInto(at, key)), given: "an unknown key", accepted, unknownKey: true });
  }
  return kept;
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Level by level: a recursion would overflow on just what it is to find. */
function deeperThan(value: unknown, levels: number): boolean {
  let level = [value].filter(isNested);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((each) => Object.values(each).filter(isNested));
  }
  return false;
}

function knownKeys(key: string, known: readonly string[]): string {
  const near = known.find((name) => {
    const most = Math.max(1, Math.floor(name.length / 4));
    return Math.abs(name.length - key.length) <= most && distance(name, key) <= most;
  });
  return near === undefined ? oneOf(known) : `${near} (did you mean that?)`;
}
