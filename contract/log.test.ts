import assert from "node:assert/strict";
import { test } from "node:test";
import { LogRecord } from "./log.ts";
import { parser } from "./parse.ts";
import { problemText } from "./problem.ts";

const line = {
  timestamp: "2026-01-31T12:00:00Z",
  level: "info",
  service: "orchestratord",
  version: "0.1.0",
  event: "started",
};
const problems = (fields: object) =>
  parser(LogRecord)
    .problems({ ...line, ...fields })
    .map(problemText);

test("a log line says on what a pool computes", () => {
  assert.deepEqual(problems({ compute: "cpu" }), []);
  assert.equal(problems({ compute: "tpu" }).length, 1);
});

test("a log line says which policy decided what, how fast and how it ended", () => {
  const asked = {
    plugin_id: "night",
    plugin_version: "1.0.0",
    decision: "admit",
    latency_ms: 0.4,
    outcome: "ok",
  };
  assert.deepEqual(problems(asked), []);
});

test("a field nobody listed does not leave a daemon", () => {
  assert.equal(problems({ prompt: "words" }).length, 1);
});
