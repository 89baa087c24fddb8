import assert from "node:assert/strict";
import { test } from "node:test";
import { LogRecord, parser } from "@llama-orch/contract";
import { createLog } from "./log.ts";

const common = { service: "orchestratord", version: "0.1.0", level: "info", secrets: [] } as const;

test("lines are JSON with the fields of the contract [ORCH-3311, HME-01]", () => {
  const lines: string[] = [];
  const log = createLog({ ...common, format: "json", write: (line) => lines.push(line) });
  log.write("info", "task_admitted", {
    human: "Admits a task.",
    job_id: "j",
    correlation_id: "c",
    quant: null,
  });
  const record = JSON.parse(lines[0] as string);
  assert.deepEqual(parser(LogRecord).problems(record), []);
  assert.match(record.timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const { timestamp: _timestamp, ...rest } = record;
  assert.deepEqual(rest, {
    level: "info",
    service: "orchestratord",
    version: "0.1.0",
    event: "task_admitted",
    human: "Admits a task.",
    job_id: "j",
    correlation_id: "c",
    quant: null,
  });
});

test("a line below the level is not written", () => {
  const lines: string[] = [];
  const log = createLog({ ...common, level: "warn", format: "json", write: (line) => lines.push(line) });
  log.write("info", "quiet", {});
  log.write("error", "loud", {});
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).event),
    ["loud"],
  );
});

test("a secret is hidden wherever it stands in a line", () => {
  const lines: string[] = [];
  const secrets = ["s3cr3t+token(0123)", "key-of-tenant"];
  const log = createLog({ ...common, secrets, format: "json", write: (line) => lines.push(line) });
  log.write("error", "trouble", {
    human: "The header was Bearer s3cr3t+token(0123).",
    details: { reason: "at key-of-tenant, twice: key-of-tenant" },
  });
  for (const secret of secrets) assert.ok(!(lines[0] as string).includes(secret));
  assert.equal(JSON.parse(lines[0] as string).details.reason, "at [REDACTED], twice: [REDACTED]");
});

test("the pretty form says the same in one readable line [ORCH-3303]", () => {
  const lines: string[] = [];
  const log = createLog({ ...common, format: "pretty", write: (line) => lines.push(line) });
  log.write("warn", "pool_draining", { human: "Drains pool haiku.", pool_id: "haiku", reason: "a b" });
  assert.match(lines[0] as string, /^\d\d:\d\d:\d\d\.\d{3} WARN {2}Drains pool haiku\. event=pool_draining/);
  assert.match(lines[0] as string, /pool_id=haiku reason="a b"\n$/);
});

test("a secret is hidden whatever characters it is made of, and a short one breaks no line", () => {
  const lines: string[] = [];
  const secrets = ['a"b\\c', ":", "e"];
  const log = createLog({ ...common, secrets, format: "json", write: (line) => lines.push(line) });
  log.write("info", "level", { human: 'It was a"b\\c.', ctx: 7, details: { list: ["e", 1, null] } });
  const { level, human, ctx, details } = JSON.parse(lines[0] as string);
  assert.deepEqual([level, human, ctx], ["info", "It was [REDACTED].", 7]);
  assert.deepEqual(details, { list: ["[REDACTED]", 1, null] });
});
