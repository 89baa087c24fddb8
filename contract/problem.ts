// One thing that is wrong with a value, in words a person can act on: the path of the field, what was given
// (never a secret, never a long text) and what is accepted.

import { type ErrorDetails, OrchError } from "./errors.ts";

export interface Problem {
  readonly path: string;
  readonly given: string;
  readonly accepted: string;
  /** An unknown key: an error where the caller is strict, a warning where it is compatible. */
  readonly unknownKey: boolean;
}

export function invalidParams(problems: readonly Problem[], details: ErrorDetails = {}): OrchError {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  return new OrchError(
    "INVALID_PARAMS",
    first ? `${problemText(first)}${more}` : "The request is not valid.",
    details,
  );
}

/** One line a person can act on: `pools[0].queue.capacity: given 0; accepted: an integer 1..10000.` */
export function problemText({ path, given, accepted }: Problem): string {
  return `${path === "" ? "The value" : path}: given ${given}; accepted: ${accepted}.`;
}

const textMax = 40;

/**
 * What a reader is shown of a value. `x-secret` on its schema hides it, and so does standing where a group or
 * a list belongs, since such a text may be anything.
 */
export function given(schema: Readonly<Record<string, unknown>>, value: unknown): string {
  if (value === undefined) return "nothing";
  if (schema["x-secret"] !== undefined) return "a hidden value";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "number") return String(value);
  const misplaced = schema.type === "object" || schema.type === "array";
  if (typeof value === "string" && (misplaced || value.length > textMax)) {
    return `a text of ${value.length} characters`;
  }
  return JSON.stringify(value);
}

/** A JSON pointer grows by one step. */
export function stepInto(pointer: string, key: string): string {
  return `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

export function stepsOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/**
 * `/pools/0/queue` → `pools[0].queue`; a key that is not a plain word is quoted, so that it cannot forge a
 * line.
 */
export function pathText(pointer: string): string {
  let text = "";
  for (const step of stepsOf(pointer).map(shortened)) {
    if (/^\d+$/.test(step)) text += `[${step}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

const nameMax = 64;

/** A name somebody else chose, at a length that a message can bear. */
export function shortened(name: string): string {
  return name.length > nameMax ? `${name.slice(0, nameMax)}…` : name;
}
