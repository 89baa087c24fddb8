import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ending, explain } from "./fault.ts";

const killed: Ending = { kind: "exited", code: null, signal: "SIGKILL" };
const failed: Ending = { kind: "exited", code: 1, signal: null };

function explained(ending: Ending, lines: readonly string[] = [], killedForMemory = false) {
  return explain(ending, { lines, killedForMemory }, ["hunter22"]);
}

test("reasons are told apart, and only exit code 0 is no reason to start it again [PM-3512]", () => {
  const all = [
    explained(failed),
    explained(killed),
    explained(killed, [], true),
    explained({ kind: "hung", polls: 3 }),
    explained({ kind: "leaving" }),
    explained({ kind: "not_ready", withinMs: 120_000 }),
    explained({ kind: "not_started", error: new Error("spawn ENOENT") }),
    explained(failed, ["CUDA error: an illegal memory access was encountered"]),
  ];
  const firstSentences = all.map(({ lastError }) => lastError.split(". ")[0]);
  assert.equal(new Set(firstSentences).size, all.length);
  const faults = all.map(({ fault }) => fault);
  assert.deepEqual(faults, ["crash", "crash", "host_oom", "hung", "crash", "crash", "crash", "crash"]);
  assert.ok(all.every(({ clean }) => !clean));
  assert.ok(explained({ kind: "exited", code: 0, signal: null }).clean);
});

test("what the engine wrote tells which memory was short and whether the driver went", () => {
  const rows: [string, string][] = [
    ["alloc_buffer: allocating 4096 MiB on device 0: cudaMalloc failed: out of memory", "vram_oom"],
    ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "vram_oom"],
    ["terminate called after throwing an instance of 'std::bad_alloc'", "host_oom"],
    ["FATAL ERROR: Reached heap limit - JavaScript heap out of memory", "host_oom"],
    ["NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.", "driver_reset"],
    ["a plain last word", "crash"],
  ];
  for (const [line, fault] of rows) assert.equal(explained(failed, [line]).fault, fault, line);
  assert.equal(explained(killed, ["out of luck"], false).fault, "crash");
});

test("the last error quotes the last words, is bounded, and holds no secret and no control character", () => {
  const long = "x".repeat(2000);
  assert.equal(explained(failed, [long]).lastError.length, 512);
  const { lastError } = explained(failed, ["first", "a", "", "key hunter22\x1b[31m\x07", "Bearer abc.def"]);
  assert.equal(
    lastError,
    "The engine ended with exit code 1. It wrote last: a | key [REDACTED] | Bearer [REDACTED]",
  );
});
