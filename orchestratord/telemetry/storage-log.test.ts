import assert from "node:assert/strict";
import { test } from "node:test";
import { LogRecord, type Narration, parser } from "@llama-orch/contract";
import { createLog } from "./log.ts";
import { Narrator } from "./narration.ts";
import { StorageLog } from "./storage-log.ts";

test("an outage of the store is told when it begins, with what helps, and when it is over", () => {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const about = { service: "orchestratord", version: "0.1.0" };
  const log = createLog({ ...about, level: "info", format: "json", secrets: [], write });
  const narrator = new Narrator({ emittedBy: "orchestratord@0.1.0", nowMs: () => 1, maskUuids: false });
  const heard: Narration[] = [];
  narrator.listen((narration) => heard.push(narration));
  const storage = new StorageLog({ log, narrator });
  storage.changed(true, "The store cannot be written (full). Make room on its disk.");
  storage.changed(false, "");
  const records = lines.map((line) => JSON.parse(line) as LogRecord);
  for (const record of records) assert.deepEqual(parser(LogRecord).problems(record), []);
  assert.deepEqual(
    records.map(({ level, event, reason }) => [level, event, reason]),
    [
      ["warn", "storage_refused", "The store cannot be written (full). Make room on its disk."],
      ["info", "storage_recovered", undefined],
    ],
  );
  assert.deepEqual(
    heard.map(({ human }) => human),
    records.map(({ human }) => human),
  );
});
