// What the simulation prints: a line per failing seed with the command that repeats it, and what was
// simulated.

import type { Verdict } from "./simulate.ts";
import type { Tally } from "./tally.ts";

export function failureText({ seed, digest, violation }: Verdict, mostLines = 40): string {
  if (violation === undefined) return "";
  const lately = violation.lately.slice(-mostLines).map((line) => `  ${line.slice(0, 400)}`);
  return [
    `\nFAILED seed ${seed} (${digest}): ${violation.message}`,
    "What happened last:",
    ...lately,
    `Repeat it: npm run sim -- --seeds 1 --seed ${seed}`,
  ].join("\n");
}

export function tallyText(title: string, tally: Readonly<Tally>): string {
  const parts = Object.entries(tally)
    .sort(([, a], [, b]) => b - a)
    .map(([name, by]) => `${name} ${by}`);
  return `${title.padEnd(10)} ${parts.join(", ")}`;
}
