// Where two decisions differ, as lines a person reads: effects side by side, then down to the values.

import { isDeepStrictEqual } from "node:util";
import type { Effect } from "@llama-orch/core";
import type { Decided } from "./format.ts";

const linesMax = 8;
const valueMax = 120;

export function differences(recorded: Decided, today: Decided): string[] {
  const lines = [...betweenDecisions(recorded, today)];
  const more = lines.length - linesMax;
  return more > 0 ? [...lines.slice(0, linesMax), `and ${more} more`] : lines;
}

/** One effect more or less must not make all behind it look different. */
function* betweenDecisions(before: Decided, now: Decided): Generator<string> {
  if (!isList(before) || !isList(now)) return yield* between("effects", before, now);
  const shorter = Math.min(before.length, now.length);
  let same = 0;
  while (same < shorter && isDeepStrictEqual(before[same], now[same])) same++;
  let sameAtEnd = 0;
  const areSame = (fromEnd: number) => isDeepStrictEqual(before.at(-fromEnd), now.at(-fromEnd));
  while (sameAtEnd < shorter - same && areSame(sameAtEnd + 1)) sameAtEnd++;
  for (let n = same; n < Math.max(before.length, now.length) - sameAtEnd; n++) {
    const within = (list: readonly unknown[]) => (n < list.length - sameAtEnd ? list[n] : undefined);
    yield* between(`effects[${n}]`, within(before), within(now));
  }
}

const isList = (decided: Decided): decided is readonly Effect[] => Array.isArray(decided);

function* between(path: string, before: unknown, now: unknown): Generator<string> {
  if (isDeepStrictEqual(before, now)) return;
  const isSameKind = isObject(before) && isObject(now) && Array.isArray(before) === Array.isArray(now);
  // Two effects of different types have nothing in common that would be worth a line.
  if (!isSameKind || before.type !== now.type) {
    yield `${path}: ${shown(before)} was recorded, today it is ${shown(now)}`;
    return;
  }
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  for (const name of names) {
    const deeper = Array.isArray(before) ? `${path}[${name}]` : `${path}.${name}`;
    yield* between(deeper, before[name], now[name]);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > valueMax ? `${text.slice(0, valueMax)}…` : text;
}
