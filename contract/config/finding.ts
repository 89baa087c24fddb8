// What a rule finds, and the two ways rules say it.

import type { Problem } from "../problem.ts";

export type Finding = Omit<Problem, "unknownKey">;

/** Whether somebody set the value at a path, rather than a default. */
export type Stated = (path: string) => boolean;

export const none: readonly Finding[] = [];

export const finding = (path: string, given: string, accepted: string): readonly Finding[] => [
  { path, given, accepted },
];

/** Secrets are among what may repeat, so the value is never shown. */
export function repeated<T>(
  items: readonly T[],
  name: (item: T) => string,
  path: string,
  key: string,
): readonly Finding[] {
  return items.flatMap((item, index) => {
    const first = items.findIndex((other) => name(other) === name(item));
    const at = typeof item === "object" ? `${path}[${index}].${key}` : `${path}[${index}]`;
    return first === index ? none : finding(at, `the ${key} of ${path}[${first}] again`, `its own ${key}`);
  });
}
