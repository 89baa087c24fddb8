// From `unknown` to a typed value, once, at the edge. A value that does not fit becomes problems that a
// person can act on.

import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/schema";
import { Settings } from "typebox/system";
import { accepted } from "./accepted.ts";
import type { ErrorDetails } from "./errors.ts";
import { given, invalidParams, type Problem, pathText, stepInto, stepsOf } from "./problem.ts";
import { problemsMax, prune } from "./prune.ts";

export interface Parser<T> {
  /**
   * The typed value without unknown fields, or INVALID_PARAMS naming the first field that does not fit;
   * `details` go along with the error.
   */
  (value: unknown, details?: ErrorDetails): T;
  /** Empty exactly when the value fits. Unknown keys of closed objects come last. */
  problems(value: unknown): Problem[];
}

type Json = Record<string, unknown>;
type Validator = ReturnType<typeof Compile>;
type Issue = ReturnType<Validator["Errors"]>[1][number];

/**
 * Builds the parser of a schema. It is compiled at the first use, so that a daemon pays for what it serves.
 */
export function parser<S extends TSchema>(schema: S): Parser<Static<S>> {
  let compiled: Validator | undefined;
  const judge = (value: unknown): { known: unknown; problems: Problem[] } => {
    compiled ??= Compile(schema as TSchema);
    const problems: Problem[] = [];
    const known = prune(schema, value, problems);
    const tooDeep = problems.filter((each) => !each.unknownKey);
    if (tooDeep.length > 0) return { known, problems: tooDeep };
    if (!compiled.Check(known)) problems.unshift(...explain(schema, known, allErrors(compiled, known)));
    return { known, problems };
  };
  const parse = (value: unknown, details?: ErrorDetails): Static<S> => {
    const { known, problems } = judge(value);
    if (problems.length > 0) throw invalidParams(problems, details);
    return known as Static<S>;
  };
  return Object.assign(parse, { problems: (value: unknown) => judge(value).problems });
}

/** The library caps its error list at 8 through a process-wide setting; a config must list every mistake. */
function allErrors(validator: Validator, value: unknown): Issue[] {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: problemsMax });
  try {
    return validator.Errors(value)[1];
  } finally {
    Settings.Set({ maxErrors });
  }
}

/** At least one problem, whatever the library had to say, so that a refused value never passes for good. */
function explain(schema: TSchema, root: unknown, issues: readonly Issue[]): Problem[] {
  const found = new Map<string, Problem>();
  const add = (at: string, given: string, accepted: string) => {
    const path = pathText(at);
    if (!found.has(path)) found.set(path, { path, given, accepted, unknownKey: false });
  };
  for (const { keyword, instancePath: at, schemaPath, params } of issues) {
    const union = outermostUnion(schemaPath);
    const owner = valueAt(schema, (union ?? schemaPath).replace(/^#/, "")) as Json;
    if (keyword === "required" && union === undefined) {
      for (const key of (params as { requiredProperties: string[] }).requiredProperties) {
        add(stepInto(at, key), "nothing", accepted(property(owner, key)));
      }
    } else {
      add(at, given(owner, valueAt(root, at)), accepted(owner));
    }
  }
  if (found.size === 0) add("", given({ ...schema }, root), accepted({ ...schema }));
  return [...found.values()];
}

/**
 * A union fails once per branch; its reader wants one sentence about the whole, so errors climb to the union.
 */
function outermostUnion(schemaPath: string): string | undefined {
  const union = /\/(anyOf|oneOf)\/\d+/.exec(schemaPath);
  return union === null ? undefined : schemaPath.slice(0, union.index);
}

function property(owner: Json, key: string): Json {
  return ((owner.properties as Json | undefined)?.[key] ?? {}) as Json;
}

function valueAt(root: unknown, pointer: string): unknown {
  return stepsOf(pointer).reduce<unknown>((value, key) => (value as Json | undefined)?.[key], root);
}
