// Reads fields of a request body as llama-server does: null counts as absent, a wrong type is refused by its
// name.

import { invalid } from "./refusal.ts";

export type Body = Readonly<Record<string, unknown>>;

export function numberIn(
  body: Body,
  name: string,
  fallback: number,
  min = -Infinity,
  max = Infinity,
): number {
  const value = body[name] ?? fallback;
  if (typeof value !== "number") throw invalid(`Field '${name}': expected a number, but got ${typeof value}`);
  if (value >= min && value <= max) return value;
  throw invalid(`Field '${name}': Value must be between ${min} <= value <= ${max}, but got ${value}`);
}

export function integerIn(body: Body, name: string, fallback: number, min: number, max: number): number {
  return Math.trunc(numberIn(body, name, fallback, min, max));
}

/** The first of several spellings that is there. */
export function spelled(body: Body, ...names: readonly string[]): string {
  return names.find((name) => (body[name] ?? undefined) !== undefined) ?? (names[0] as string);
}

export function booleanIn(body: Body, name: string, fallback: boolean): boolean {
  const value = body[name] ?? fallback;
  if (typeof value === "boolean") return value;
  throw invalid(`Field '${name}': expected a boolean, but got ${typeof value}`);
}

export function textIn(body: Body, name: string): string {
  const value = body[name];
  if (typeof value === "string") return value;
  throw invalid(
    `Field '${name}': expected a string, but got ${value === undefined ? "nothing" : typeof value}`,
  );
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
