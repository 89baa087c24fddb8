// Loaded by Node into the process of each test file: writes what happens to the tests as one JSON line each.
// Loses nothing that the reader needs to tell a test that failed from one that never ended.

import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

export type Line =
  | { event: "begun" | "done"; title: string }
  /** What a test says beside its result, and Node about an error that came after the test had ended. */
  | { event: "said"; text: string }
  | {
      event: "result";
      /** The titles of the groups and tests around it, outermost first. */
      within: string[];
      title: string;
      group: boolean;
      outcome: "passed" | "failed" | "skipped";
      durationMs: number;
      error?: string;
    }
  | { event: "end" };

// tidy: exports: Node takes the default export of a reporter.
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const open: string[] = [];
  for await (const event of events) {
    const line = lineOf(event, open);
    if (line) yield `${JSON.stringify(line)}\n`;
  }
}

function lineOf(event: TestEvent, open: string[]): Line | undefined {
  if (event.type === "test:dequeue") return { event: "begun", title: event.data.name };
  if (event.type === "test:complete") return { event: "done", title: event.data.name };
  // Without a file: the one summary of the whole process.
  if (event.type === "test:summary") return { event: "end" };
  if (event.type === "test:diagnostic") return saidIn(event.data.message);
  if (event.type === "test:start") open.splice(event.data.nesting, open.length, event.data.name);
  if (event.type !== "test:pass" && event.type !== "test:fail") return undefined;
  const { name: title, nesting, skip, todo, details } = event.data;
  const skipped = isSet(skip) || isSet(todo);
  const error = event.type === "test:fail" && !skipped ? event.data.details.error : undefined;
  return {
    event: "result",
    within: open.slice(0, nesting),
    title,
    group: details.type === "suite",
    outcome: skipped ? "skipped" : event.type === "test:fail" ? "failed" : "passed",
    durationMs: details.duration_ms,
    ...(error && { error: describe(error.cause ?? error) }),
  };
}

/** Node ends with its own counts the same way; the results tell those already. */
function saidIn(text: string): Line | undefined {
  const isCount = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(text);
  return isCount ? undefined : { event: "said", text };
}

/** A reason counts as much as true, an empty one too. */
function isSet(mark: string | boolean | undefined): boolean {
  return mark !== undefined && mark !== false;
}

function describe(cause: unknown): string {
  const text = typeof cause === "string" ? cause : inspect(cause);
  const lines = text.split("\n").filter((line) => !/^\s+at .*\(?node:/.test(line));
  return lines.join("\n");
}
