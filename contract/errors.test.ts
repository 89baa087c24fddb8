import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, ErrorEnvelope, errorTable, OrchError, taskErrorCodes } from "./errors.ts";
import { parser } from "./parse.ts";

const parseEnvelope = parser(ErrorEnvelope);

test("a task ends with one of exactly twelve codes", () => {
  assert.deepEqual([...taskErrorCodes].sort(), [
    "ADMISSION_REJECT",
    "DEADLINE_UNMET",
    "DECODE_TIMEOUT",
    "INTERNAL",
    "INVALID_PARAMS",
    "MODEL_DEPRECATED",
    "POOL_UNAVAILABLE",
    "POOL_UNREADY",
    "QUEUE_FULL_DROP_LRU",
    "REPLICA_EXHAUSTED",
    "UNTRUSTED_ARTIFACT",
    "WORKER_RESET",
  ]);
});

test("each code has its HTTP status [CHK-F-01]", () => {
  const byStatus: Record<number, string[]> = {};
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    assert.equal(new OrchError(code, "It failed.").status, errorTable[code].status);
    byStatus[errorTable[code].status] = [...(byStatus[errorTable[code].status] ?? []), code];
  }
  assert.deepEqual(byStatus, {
    400: ["INVALID_PARAMS", "DEADLINE_UNMET", "UNTRUSTED_ARTIFACT"],
    401: ["MISSING_TOKEN", "BAD_TOKEN", "MISSING_API_KEY"],
    403: ["MODEL_DEPRECATED", "INVALID_API_KEY", "FORBIDDEN_ORIGIN"],
    404: ["NOT_FOUND"],
    405: ["METHOD_NOT_ALLOWED"],
    409: ["TASK_CONFLICT", "RELOAD_CONFLICT", "LIFECYCLE_CONFLICT"],
    410: ["GONE"],
    413: ["PAYLOAD_TOO_LARGE"],
    415: ["UNSUPPORTED_MEDIA_TYPE"],
    429: ["ADMISSION_REJECT", "QUEUE_FULL_DROP_LRU"],
    500: ["DECODE_TIMEOUT", "WORKER_RESET", "INTERNAL"],
    503: ["POOL_UNREADY", "POOL_UNAVAILABLE", "REPLICA_EXHAUSTED", "CLOUD_DISABLED"],
    507: ["ARTIFACT_STORE_FULL"],
  });
});

test("only what can pass by waiting or by another replica may be tried again", () => {
  const retriable = (Object.keys(errorTable) as ErrorCode[]).filter((code) => errorTable[code].retriable);
  assert.deepEqual(retriable, [
    "ADMISSION_REJECT",
    "QUEUE_FULL_DROP_LRU",
    "POOL_UNREADY",
    "POOL_UNAVAILABLE",
    "REPLICA_EXHAUSTED",
    "DECODE_TIMEOUT",
    "WORKER_RESET",
  ]);
});

test("an envelope carries what is known and leaves out what is not [CHK-F-03]", () => {
  const known = new OrchError("ADMISSION_REJECT", "The queue is full; send the task again in 2 s.", {
    engine: "llamacpp",
    policy_label: "reject",
    retry_after_ms: 2000,
  });
  const bare = new OrchError("INTERNAL", "The engine answered with something that is not JSON.");
  assert.equal(
    JSON.stringify(known.toEnvelope()),
    '{"code":"ADMISSION_REJECT","message":"The queue is full; send the task again in 2 s.","retriable":true,' +
      '"engine":"llamacpp","policy_label":"reject","retry_after_ms":2000}',
  );
  assert.deepEqual(Object.keys(bare.toEnvelope()), ["code", "message", "retriable"]);
  assert.deepEqual(parseEnvelope(known.toEnvelope()), known.toEnvelope());
});

test("two codes always say one thing more, so that callers need not know the code", () => {
  const fixed = { NOT_FOUND: { error: "not found" }, CLOUD_DISABLED: { success: false } };
  for (const [code, fields] of Object.entries(fixed)) {
    const envelope = new OrchError(code as ErrorCode, "It failed.").toEnvelope();
    assert.deepEqual(envelope, { ...envelope, ...fields });
  }
  const named = new OrchError("INVALID_PARAMS", "id required", { error: "id required" });
  assert.equal(named.toEnvelope().error, "id required");
});

test("a pool that only loads is not unready, since its tasks wait", () => {
  assert.doesNotMatch(errorTable.POOL_UNREADY.says, /load/);
});

test("an error keeps its cause for the log and out of the envelope", () => {
  const cause = new Error("ECONNREFUSED 127.0.0.1:9999");
  const error = new OrchError("WORKER_RESET", "The engine was lost.", {}, cause);
  assert.equal(error.cause, cause);
  assert.doesNotMatch(JSON.stringify(error.toEnvelope()), /ECONNREFUSED/);
});
