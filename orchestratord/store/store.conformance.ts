// What every store promises, whatever stands behind it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Admitted, Ended, Store } from "./store.ts";

export interface OpenedStore {
  readonly store: Store;
  /** Time goes on by so much. */
  advance(ms: number): void;
}

/** Ended tasks are kept for a second, answers for two. */
export const keepEndedMs = 1000;
export const rememberMs = 2000;

const answer = { queuePosition: 0, predictedStartMs: 0, preparation: [] };
const admitted = (jobId: string, more: Partial<Admitted> = {}): Admitted => ({
  fact: "admitted",
  jobId,
  tenantId: "default",
  taskId: "task",
  priority: "batch",
  atMs: 0,
  fingerprint: `fingerprint of ${jobId}`,
  answer: { ...answer, jobId },
  body: { prompt: `prompt of ${jobId}` },
  ...more,
});
const ended = (jobId: string, more: Partial<Ended> = {}): Ended => ({
  fact: "ended",
  jobId,
  tenantId: "default",
  taskId: "task",
  atMs: 0,
  outcome: { kind: "done", tokensOut: 1, decodeMs: 1 },
  transcript: `sha256:${jobId}`,
  ...more,
});

export function storeConformance(name: string, use: Use) {
  test(`${name}: the texts of a task are there from its admission to its end`, () =>
    use(async ({ store }) => {
      assert.equal(await store.body("j1"), undefined);
      await store.commit([admitted("j1")]);
      assert.deepEqual(await store.body("j1"), { prompt: "prompt of j1" });
      await store.commit([ended("j1")]);
      assert.equal(await store.body("j1"), undefined);
    }));

  test(`${name}: facts of one call count in their order`, () =>
    use(async ({ store }) => {
      await store.commit([admitted("j1"), ended("j1"), admitted("j2", { taskId: "other" })]);
      assert.equal(await store.body("j1"), undefined);
      assert.deepEqual(await store.body("j2"), { prompt: "prompt of j2" });
    }));

  test(`${name}: the transcript of an ended task is found by its tenant and name`, () =>
    use(async ({ store }) => {
      await store.commit([admitted("j1"), ended("j1"), admitted("j2", { tenantId: "other" })]);
      assert.equal((await store.transcript("default", "task"))?.transcript, "sha256:j1");
      assert.equal(await store.transcript("other", "task"), undefined);
      assert.equal(await store.transcript("default", "another"), undefined);
    }));

  test(`${name}: a name that is used again stands for its newest task`, () =>
    use(async ({ store }) => {
      await store.commit([admitted("j1"), ended("j1"), admitted("j2")]);
      assert.equal(await store.transcript("default", "task"), undefined);
      await store.commit([ended("j2")]);
      assert.equal((await store.transcript("default", "task"))?.jobId, "j2");
    }));

  forgetting(name, use);
}

type Use = (run: (opened: OpenedStore) => Promise<void>) => Promise<void>;

function forgetting(name: string, use: Use) {
  test(`${name}: an ended task is forgotten when its time is over`, () =>
    use(async ({ store, advance }) => {
      await store.commit([admitted("j1"), ended("j1")]);
      advance(keepEndedMs);
      assert.equal((await store.transcript("default", "task"))?.jobId, "j1");
      advance(1);
      assert.equal(await store.transcript("default", "task"), undefined);
    }));

  test(`${name}: a name is answered as it was first, until long after its end`, () =>
    use(async ({ store, advance }) => {
      const first = { fingerprint: "fingerprint of j1", answer: { ...answer, jobId: "j1" } };
      assert.equal(await store.remembered("default", "task"), undefined);
      await store.commit([admitted("j1")]);
      advance(10 * rememberMs);
      assert.partialDeepStrictEqual(await store.remembered("default", "task"), first);
      assert.equal(await store.remembered("other", "task"), undefined);
      await store.commit([ended("j1", { atMs: 10 * rememberMs })]);
      advance(rememberMs);
      assert.partialDeepStrictEqual(await store.remembered("default", "task"), first);
      advance(1);
      assert.equal(await store.remembered("default", "task"), undefined);
    }));

  test(`${name}: without a tenant the default one's name is meant, else whoever's used it last`, () =>
    use(async ({ store, advance }) => {
      await store.commit([
        admitted("j1", { tenantId: "a" }),
        admitted("j2", { tenantId: "b" }),
        ended("j2", { tenantId: "b" }),
      ]);
      assert.equal((await store.transcript(undefined, "task"))?.jobId, "j2");
      assert.equal((await store.remembered(undefined, "task"))?.answer.jobId, "j2");
      await store.commit([admitted("j3"), ended("j3"), admitted("j4", { tenantId: "c" })]);
      assert.equal((await store.transcript(undefined, "task"))?.jobId, "j3");
      assert.equal((await store.remembered(undefined, "task"))?.answer.jobId, "j3");
      assert.equal(await store.transcript(undefined, "another"), undefined);
      advance(rememberMs + 1);
      assert.equal((await store.remembered(undefined, "task"))?.answer.jobId, "j4");
    }));

  test(`${name}: nothing can be kept as well as something, to see whether there is room`, () =>
    use(async ({ store }) => {
      await store.commit([]);
      assert.equal(await store.remembered("default", "task"), undefined);
    }));

  test(`${name}: drains and deleted sessions are taken, too`, () =>
    use(async ({ store }) => {
      await store.commit([
        { fact: "drained", poolId: "p", deadlineAtMs: 1 },
        { fact: "session-deleted", tenantId: "default", sessionId: "s", atMs: 1 },
      ]);
    }));
}
