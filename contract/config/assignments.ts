// What the environment and flags set: each text read as the value its key wants, and reported under the name
// the operator used when it cannot be one.

import { accepted } from "../accepted.ts";
import { distance } from "../distance.ts";
import { parser } from "../parse.ts";
import { given, type Problem, shortened } from "../problem.ts";
import { withoutCredentials } from "./address.ts";
import { ConfigMode, type EnvironmentRow, environment, environmentNames } from "./environment.ts";
import { type Key, keyAt } from "./keys.ts";

export type Variables = Readonly<Record<string, string | undefined>>;

/** By the name of the flag: the key it sets, and its value, which may be text. */
export type Flags = Readonly<Record<string, { readonly sets: string; readonly value: unknown }>>;

/** A value that is to be put over what the file says. */
export interface Assignment {
  readonly sets: string;
  readonly value: unknown;
  readonly origin: string;
}

export interface Findings {
  readonly problems: Problem[];
  readonly warnings: string[];
  /** Keys whose value is a problem already. */
  readonly faulty: string[];
}

export function readMode(variables: Variables, found: Findings): ConfigMode {
  const text = variables.LLORCH_CONFIG_MODE?.trim() || "strict";
  if (text === "strict" || text === "compat") return text;
  report(found, {
    path: "LLORCH_CONFIG_MODE",
    given: given({ ...ConfigMode }, text),
    accepted: accepted({ ...ConfigMode }),
  });
  return "strict";
}

export function fromEnvironment(variables: Variables, found: Findings): Assignment[] {
  const assignments: Assignment[] = [];
  for (const canonical of environmentNames) {
    const row: EnvironmentRow = environment[canonical];
    if (row.sets === undefined) continue;
    const set = [canonical, ...row.aliases].filter((name) => (variables[name] ?? "").trim() !== "");
    const [name, ...others] = set;
    if (name === undefined) continue;
    const key = keyAt(row.sets) as Key;
    const read = (from: string) => readText((variables[from] as string).trim(), key, row.words);
    const value = read(name);
    for (const other of others) {
      if (JSON.stringify(read(other)) === JSON.stringify(value)) continue;
      found.warnings.push(`${name} and ${other} disagree; ${name} is used.`);
    }
    if (!check(name, key, value, found, row)) continue;
    assignments.push({ sets: row.sets, value, origin: `environment ${name}` });
  }
  warnOfUnknownNames(Object.keys(variables), found);
  return assignments;
}

export function fromFlags(flags: Flags, found: Findings): Assignment[] {
  return Object.entries(flags).flatMap(([name, { sets, value }]) => {
    const key = keyAt(sets);
    if (key === undefined) throw new Error(`The flag ${name} sets ${sets}, which is not a key.`);
    const read = typeof value === "string" ? readText(value.trim(), key) : value;
    return check(name, key, read, found, { sets }) ? [{ sets, value: read, origin: `flag ${name}` }] : [];
  });
}

const decimal = /^-?\d+(\.\d+)?$/;

const switches: Readonly<Record<string, unknown>> = {
  true: true,
  1: true,
  on: true,
  false: false,
  0: false,
  off: false,
};

type Wanted = Pick<EnvironmentRow, "sets" | "words">;

/** Text as the value its key wants; text that cannot be one stays text and fails the check that follows. */
function readText(text: string, key: Key, words?: Readonly<Record<string, unknown>>): unknown {
  if (words !== undefined) return Object.hasOwn(words, text) ? words[text] : text;
  if (key.type === "boolean") return Object.hasOwn(switches, text) ? switches[text] : text;
  if (key.type === "integer" || key.type === "number") return decimal.test(text) ? Number(text) : text;
  if (key.type !== "array") return text;
  const parts = text.split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "");
}

/** True when the value fits its key; else every problem is reported under the name the operator used. */
function check(name: string, key: Key, value: unknown, found: Findings, row: Wanted): boolean {
  const problems = parser(key).problems(value);
  const words = row.words === undefined ? undefined : `one of ${Object.keys(row.words).join(", ")}`;
  for (const { path, given, accepted } of problems) {
    report(found, { path: `${name}${path}`, given, accepted: words ?? accepted }, row.sets);
  }
  return problems.length === 0;
}

export function report(found: Findings, problem: Omit<Problem, "unknownKey">, faulty?: string): void {
  found.problems.push({ ...problem, given: withoutCredentials(problem.given), unknownKey: false });
  if (faulty !== undefined) found.faulty.push(faulty);
}

const ourPrefix = /^(ORCHD|ORCHESTRATORD|ORCH|LLORCH|POOL_MANAGERD|ENGINE_PROVISIONER)_/;

/** A misspelt variable would otherwise be a wish that nobody hears. */
function warnOfUnknownNames(names: readonly string[], found: Findings): void {
  const known = environmentNames.flatMap((name) => [name, ...environment[name].aliases]) as string[];
  for (const name of names.map(shortened)) {
    if (!ourPrefix.test(name) || known.includes(name)) continue;
    const near = known.reduce((best, each) => (distance(each, name) < distance(best, name) ? each : best));
    found.warnings.push(
      `${name} is not a variable of llama-orch and is ignored; the nearest one is ${near}.`,
    );
  }
}
