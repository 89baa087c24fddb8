import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTree } from "./tree.ts";
import { checkVocabulary } from "./vocabulary.ts";

function faults(path: string, text = ""): string[] {
  return checkVocabulary(makeTree({ [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

test("folders and files are domain nouns in kebab-case", () => {
  assert.deepEqual(faults("core/utils/a.ts"), [
    "1 The folder utils/ names a language construct; name it after what its files are about.",
  ]);
  assert.deepEqual(faults("core/replicaSets/a.ts"), [
    "1 The folder replicaSets/ is not kebab-case; rename it.",
  ]);
  assert.deepEqual(faults("core/types.ts"), [
    "1 The file name types.ts names a language construct; name it after its main export.",
  ]);
  assert.deepEqual(faults("core/replicaSet.ts"), [
    "1 The file name replicaSet.ts is not kebab-case; rename it.",
  ]);
  assert.deepEqual(faults("core/job-queue.ts"), [
    '1 The file name job-queue.ts says "job"; our word is task.',
  ]);
  for (const path of [
    "core/placement/replica-set.test.ts",
    "pool-managerd/a.ts",
    ".github/ISSUE_TEMPLATE/a.md",
  ]) {
    assert.deepEqual(faults(path), []);
  }
});

test("exported names and types use our words", () => {
  assert.deepEqual(faults("core/a.ts", "\nexport const workerCount = 1;"), [
    '2 The name workerCount says "worker"; our word is replica or attempt.',
  ]);
  for (const text of [
    "export function listJobs() {}",
    "class HostTable {}",
    "type UserName = string;",
    "interface Runtime {}",
    "export const { a: backendUrl } = row;",
    "export { a as JOB_TABLE };",
  ]) {
    assert.equal(faults("core/a.ts", text).length, 1, text);
  }
});

test("words inside words, private names and the words of the wire stay silent", () => {
  const text = `
    export const JobId = 1, jobId = 2, WORKER_RESET = 3, ghostCount = 4;
    const worker = new Thread();
    type Row = { host: string; job_id: string };
    export type JobIds = string[];
  `;
  assert.deepEqual(faults("core/a.ts", text), []);
  assert.deepEqual(faults("orchestratord/store/sqlite-worker.ts"), []);
});

test("no I prefix, no Impl suffix", () => {
  assert.deepEqual(faults("core/a.ts", "interface IStore {}\nclass StoreImpl {}"), [
    "1 The name IStore starts with I; a port has the plain noun (Store).",
    "2 The name StoreImpl ends in Impl; say what it is (SqliteStore).",
  ]);
  assert.deepEqual(faults("core/a.ts", "interface Item {}\ninterface IPv4 {}\ninterface IOPort {}"), []);
});

test("the unit comes last", () => {
  assert.deepEqual(faults("core/a.ts", "const msTimeout = 1;"), [
    "1 The name msTimeout starts with its unit; put the unit last (timeoutMs).",
  ]);
  for (const text of ["function f(bytesMax: number) {}", "type A = { tokensLimit: number };"]) {
    assert.equal(faults("core/a.ts", text).length, 1, text);
  }
  const good = "let msPerToken, bytesRead, tokensPerSecond, timeoutMs, queueDepthMax, msg, bytes;";
  assert.deepEqual(faults("core/a.ts", good), []);
});
