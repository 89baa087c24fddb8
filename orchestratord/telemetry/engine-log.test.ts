import assert from "node:assert/strict";
import { test } from "node:test";
import type { Retry } from "@llama-orch/engines/adapter";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { retryTeller } from "./engine-log.ts";
import { createLog, type LogFields } from "./log.ts";

function open() {
  const clock = new FakeClock();
  const lines: LogFields[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = createLog({ service: "t", version: "1", level: "info", format: "json", secrets: [], write });
  const tell = retryTeller(log, { engine: "llamacpp", url: "http://e:1" }, () => clock.nowMs());
  /** A plain call that fails to the end: it is made again three times. */
  const fails = (call: string, why: Retry["why"]) => {
    for (const retry of [1, 2, 3]) tell({ call, retry, waitMs: 5, why });
  };
  return { clock, lines, fails };
}

const summed = (lines: readonly LogFields[]) =>
  lines.reduce((sum, { details }) => sum + 1 + Number(details?.left_out ?? 0), 0);

test("the first call that is made again is told in full, with pause and cause [OC-ADAPT-OAI-6030]", () => {
  const { lines, fails } = open();
  fails("GET /props", 503);
  assert.deepEqual(
    lines.map(({ backoff_ms, error_kind, details }) => [backoff_ms, error_kind, details?.retry]),
    [
      [5, "503", 1],
      [5, "503", 2],
      [5, "503", 3],
    ],
  );
});

test("a call that goes on to fail has a line a minute, with the number that was left out", () => {
  const { clock, lines, fails } = open();
  for (let second = 0; second <= 180; second += 1) {
    fails("GET /props", 500);
    clock.advance(1000);
  }
  assert.equal(lines.length, 3 + 3);
  assert.equal(summed(lines), 3 * 180 + 1, "what came after the last line is told by the next one");
  assert.match(lines.at(-1)?.human ?? "", /: it answered 500\. So it was 179 more times since/);
});

test("another call, another reason and a new series are told at once", () => {
  const { clock, lines, fails } = open();
  fails("GET /props", 500);
  fails("GET /props", 500);
  fails("GET /props", "reset");
  fails("GET /slots", 500);
  assert.equal(lines.length, 9);
  clock.advance(60_000);
  fails("GET /props", 500);
  assert.equal(lines.length, 12);
  assert.equal(lines[9]?.details?.left_out, 3);
});
