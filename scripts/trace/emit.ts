// The one formatting of a ledger file: the same requirements always give the same bytes, so that a change of
// links is a readable diff and nothing else moves. Whatever is emitted reads back as what went in.

import type { Requirement } from "./ledger.ts";

const LINE_MAX = 110;

export function emitArea(header: string, requirements: readonly Requirement[]): string {
  return header + requirements.map(emitRequirement).join("");
}

function emitRequirement({ id, level, proof, reason, says, tests, code }: Requirement): string {
  return [
    `- id: ${id}`,
    `  level: ${level}`,
    ...(reason === undefined ? [] : folded("reason", reason)),
    `  proof: ${proof}`,
    ...folded("says", says),
    ...list("tests", tests),
    ...list("code", code),
    "",
  ].join("\n");
}

/** A folded block needs no quoting: every character stands for itself and a line break for one space. */
function folded(field: string, text: string): string[] {
  const lines = [`  ${field}: >-`];
  let line = "   ";
  for (const word of text.split(" ")) {
    if (line.trim() !== "" && line.length + 1 + word.length > LINE_MAX) {
      lines.push(line);
      line = "   ";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function list(field: string, items: readonly string[] = []): string[] {
  return items.length === 0 ? [] : [`  ${field}:`, ...items.map((item) => `    - ${item}`)];
}
