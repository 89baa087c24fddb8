// What every store promises, whatever stands behind it.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  admitted,
  ended,
  replicaFacts,
  sent,
  session,
  sessionDeleted,
  settingsWith,
} from "./fixtures/facts.ts";
import type { Recovered, Store } from "./store.ts";

export interface OpenedStore {
  readonly store: Store;
  /** Time goes on by so much. */
  advance(ms: number): void;
}

/** Ended tasks are kept for a second, answers for two. */
export const keepEndedMs = 1000;
export const rememberMs = 2000;
/** And no more ended tasks than this. */
export const endedMax = 100;

type Use = (run: (opened: OpenedStore) => Promise<void>) => Promise<void>;

export function storeConformance(name: string, use: Use) {
  test(`${name}: the texts of a task are there from its admission to its end`, () =>
    use(async ({ store }) => {
      const body = { prompt: "\u0000 \ud800 \u2028 \u{1f600}", inputs: ["b"] };
      assert.equal(await store.body("j1"), undefined);
      const told = store.commit([admitted("j1", { body })]);
      assert.deepEqual(await store.body("j1"), body, "before it is safe");
      await told;
      assert.deepEqual(await store.body("j1"), body);
      await store.commit([ended("j1")]);
      assert.equal(await store.body("j1"), undefined);
    }));

  test(`${name}: facts of one call count in their order`, () =>
    use(async ({ store }) => {
      await store.commit([admitted("j1"), ended("j1"), admitted("j2", { taskId: "other" })]);
      assert.equal(await store.body("j1"), undefined);
      assert.deepEqual(await store.body("j2"), { prompt: "prompt of j2" });
    }));

  test(`${name}: what was told is found at once, safe or not`, () =>
    use(async ({ store }) => {
      const first = store.commit([admitted("j1")]);
      assert.equal((await store.remembered("default", "task"))?.answer.jobId, "j1");
      assert.deepEqual(await store.body("j1"), { prompt: "prompt of j1" });
      await first;
      const second = store.commit([ended("j1")]);
      assert.equal((await store.transcript(undefined, "task"))?.jobId, "j1");
      assert.equal(await store.body("j1"), undefined);
      await second;
    }));

  test(`${name}: nothing can be kept as well as something, to see whether there is room`, () =>
    use(async ({ store }) => {
      await store.commit([]);
      assert.equal(await store.remembered("default", "task"), undefined);
    }));

  naming(name, use);
  forgetting(name, use);
  recovering(name, use);
  accounting(name, use);
  installing(name, use);
}

function naming(name: string, use: Use) {
  test(`${name}: the transcript of an ended task is found by its tenant and name`, () =>
    use(async ({ store }) => {
      await store.commit([admitted("j1"), ended("j1"), admitted("j2", { tenantId: "other" })]);
      const { fact: _, spent: __, tenantPays: ___, view: ____, ...rest } = ended("j1");
      assert.deepEqual(await store.transcript("default", "task"), rest);
      assert.equal(await store.transcript("other", "task"), undefined);
      assert.equal(await store.transcript("default", "another"), undefined);
    }));

  test(`${name}: a name that is used again stands for its newest task`, () =>
    use(async ({ store }) => {
      await store.commit([admitted("j1"), ended("j1"), admitted("j2")]);
      assert.equal(await store.transcript("default", "task"), undefined);
      await store.commit([ended("j2")]);
      assert.equal((await store.transcript("default", "task"))?.jobId, "j2");
      await store.commit([admitted("j3"), admitted("j4"), ended("j3")]);
      assert.equal(await store.transcript("default", "task"), undefined);
      assert.equal((await store.remembered("default", "task"))?.answer.jobId, "j4");
    }));

  test(`${name}: a transcript may come after the outcome`, () =>
    use(async ({ store }) => {
      const { transcript: _, ...first } = ended("j1");
      await store.commit([admitted("j1"), first]);
      assert.equal((await store.transcript("default", "task"))?.transcript, undefined);
      await store.commit([ended("j1", { atMs: 5 })]);
      const { fact: __, spent: ___, tenantPays: ____, view: _____, ...whole } = ended("j1");
      assert.deepEqual(await store.transcript("default", "task"), whole);
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
}

function forgetting(name: string, use: Use) {
  test(`${name}: an ended task is forgotten when its time is over`, () =>
    use(async ({ store, advance }) => {
      await store.commit([admitted("j1"), ended("j1")]);
      advance(keepEndedMs);
      await store.sweep(keepEndedMs);
      assert.equal((await store.transcript("default", "task"))?.jobId, "j1");
      advance(1);
      assert.equal(await store.transcript("default", "task"), undefined);
    }));

  test(`${name}: a name is answered as it was first, until long after its end`, () =>
    use(async ({ store, advance }) => {
      const { fingerprint, answer } = admitted("j1").facts;
      const first = { fingerprint, answer };
      assert.equal(await store.remembered("default", "task"), undefined);
      await store.commit([admitted("j1")]);
      advance(10 * rememberMs);
      await store.sweep(10 * rememberMs);
      assert.deepEqual(await store.remembered("default", "task"), first);
      assert.equal(await store.remembered("other", "task"), undefined);
      await store.commit([ended("j1", { atMs: 10 * rememberMs })]);
      advance(rememberMs);
      await store.sweep(11 * rememberMs);
      assert.deepEqual(await store.remembered("default", "task"), first);
      advance(1);
      assert.equal(await store.remembered("default", "task"), undefined);
    }));

  test(`${name}: a sweep removes what its time is over for, and the longest ended beyond a hundred`, () =>
    use(async ({ store }) => {
      const numbers = Array.from({ length: 103 }, (_, n) => n);
      const named = (n: number) => ({ taskId: `t${n}`, atMs: n });
      await store.commit(numbers.map((n) => admitted(`j${n}`, named(n))));
      await store.commit(numbers.slice(1).map((n) => ended(`j${n}`, named(n))));
      await store.sweep(0);
      const known = async () => {
        const found = await Promise.all(numbers.map((n) => store.remembered("default", `t${n}`)));
        return found.flatMap((each) => (each === undefined ? [] : [each.answer.jobId]));
      };
      assert.deepEqual(await known(), ["j0", ...numbers.slice(3).map((n) => `j${n}`)]);
      await store.sweep(rememberMs + 102);
      assert.deepEqual(await known(), ["j0", "j102"]);
    }));
}

function recovering(name: string, use: Use) {
  test(`${name}: at the very first start there is nothing`, () =>
    use(async ({ store }) => {
      const nothing = { replicas: [], drains: [], tasks: [], sessions: [], tenants: [] };
      assert.deepEqual(store.recover(), { nowMs: 0, settings: null, ...nothing });
    }));

  test(`${name}: what is not over comes back in the order of its admission, with all that was told`, () =>
    use(async ({ store }) => {
      const told = [
        admitted("z", { taskId: "1", atMs: 5 }),
        admitted("y", { taskId: "2", sessionSerial: 4 }),
        admitted("over", { taskId: "3" }),
        admitted("a", { taskId: "4", atMs: 3 }),
      ] as const;
      await store.commit(told);
      await store.commit([sent("z"), sent("a", 1), { fact: "read", jobId: "z" }]);
      await store.commit([
        { fact: "progressed", jobId: "z", frames: 4, tokensOut: 3, streamDigest: "first" },
        sent("a", 2),
        { fact: "progressed", jobId: "z", frames: 9, tokensOut: 8, streamDigest: "second" },
        ended("over", { taskId: "3" }),
      ]);
      const fresh = { frames: 0, tokensOut: 0, wasRead: false };
      const [z, y, , a] = told.map(({ facts, asked }) => ({ ...facts, ...asked, ...fresh }));
      const further = { frames: 9, tokensOut: 8, streamDigest: "second", wasRead: true };
      assert.deepEqual(store.recover().tasks, [
        { ...z, ...further, sentTo: sent("z").to },
        y,
        { ...a, sentTo: sent("a", 2).to },
      ]);
    }));

  test(`${name}: what is told of a task that nobody knows, or that is over, changes nothing`, () =>
    use(async ({ store }) => {
      const progressed = { fact: "progressed", frames: 1, tokensOut: 1, streamDigest: "d" } as const;
      const about = (jobId: string) =>
        [sent(jobId), { fact: "read", jobId }, { ...progressed, jobId }, ended(jobId)] as const;
      await store.commit(about("nobody"));
      assert.equal(await store.transcript("default", "task"), undefined);
      await store.commit([admitted("j1"), ended("j1"), ...about("j1")]);
      assert.deepEqual(store.recover().tasks, []);
      assert.equal((await store.transcript("default", "task"))?.jobId, "j1");
    }));

  test(`${name}: the latest time that was told comes back`, () =>
    use(async ({ store }) => {
      await store.commit([admitted("j1", { atMs: 40 }), ended("j1", { atMs: 70 }), sent("j1")]);
      await store.commit([{ fact: "drained", poolId: "p", sinceMs: 60, deadlineAtMs: 9000 }]);
      assert.equal(store.recover().nowMs, 70);
    }));
}

function accounting(name: string, use: Use) {
  const one = { tokens: 1, timeMs: 1.5, cost: 0.1 };
  const two = { tokens: 2, timeMs: 3, cost: 0.2 };
  const nothing = { tokens: 0, timeMs: 0, cost: 0 };

  test(`${name}: the tasks that ended last are shown as they were, and so many as are asked for`, () =>
    use(async ({ store }) => {
      const jobs = ["j1", "j2", "j3", "j4"];
      await store.commit(jobs.map((jobId) => admitted(jobId, { taskId: jobId })));
      const endings = jobs.slice(0, 3).map((jobId, n) => ended(jobId, { taskId: jobId, atMs: 10 * n }));
      await store.commit(endings);
      assert.deepEqual(
        store.past(9),
        endings.map(({ view }) => view),
      );
      assert.deepEqual(
        store.past(2).map(({ job_id }) => job_id),
        ["j2", "j3"],
      );
    }));

  test(`${name}: what a task spent is booked once, on its tenant and its session`, () =>
    use(async ({ store }) => {
      await store.commit([
        admitted("j1", { sessionSerial: 3, session: session(3) }),
        admitted("j2", { sessionSerial: 3, session: session(3, { turns: 2, expiresAtMs: 2000 }) }),
        admitted("j3", { tenantId: "other" }),
        ended("j1"),
        ended("j1"),
      ]);
      await store.commit([ended("j1"), ended("j2"), ended("j3", { tenantId: "other" })]);
      const { sessions, tenants } = store.recover();
      assert.deepEqual(sessions, [session(3, { turns: 2, expiresAtMs: 2000, spent: two })]);
      assert.deepEqual(byTenant(tenants), [
        { tenantId: "default", spent: two },
        { tenantId: "other", spent: one },
      ]);
    }));

  test(`${name}: a new turn leaves what its session has spent, and a new session of the name has its own`, () =>
    use(async ({ store }) => {
      await store.commit([
        admitted("j1", { sessionSerial: 3, session: session(3) }),
        admitted("late", { sessionSerial: 3 }),
        ended("j1"),
        admitted("j2", { sessionSerial: 3, session: session(3, { turns: 2 }) }),
      ]);
      assert.deepEqual(store.recover().sessions, [session(3, { turns: 2, spent: one })]);
      await store.commit([admitted("j3", { sessionSerial: 8, session: session(8) }), ended("late")]);
      assert.deepEqual(store.recover().sessions, [session(8, { spent: nothing })]);
      await store.commit([sessionDeleted]);
      assert.deepEqual(store.recover().sessions, []);
    }));

  test(`${name}: a sweep removes expired sessions, except under work in hand`, () =>
    use(async ({ store }) => {
      await store.commit([
        admitted("j1", { sessionId: "a", sessionSerial: 1, session: session(1, { sessionId: "a" }) }),
        admitted("j2", { taskId: "b", session: session(2, { sessionId: "b" }) }),
        admitted("j3", { taskId: "c", session: session(3, { sessionId: "c", expiresAtMs: 1001 }) }),
      ]);
      const kept = () => [...store.recover().sessions].map(({ serial }) => serial).sort();
      await store.sweep(1000);
      assert.deepEqual(kept(), [1, 3]);
      await store.commit([ended("j1")]);
      await store.sweep(1000);
      assert.deepEqual(kept(), [3]);
    }));
}

function installing(name: string, use: Use) {
  test(`${name}: drains, replicas and settings come back as they were told last`, () =>
    use(async ({ store }) => {
      const seen = { fact: "replica-seen", poolId: "p" } as const;
      await store.commit([
        { fact: "drained", poolId: "p", sinceMs: 1, deadlineAtMs: 2 },
        { fact: "drained", poolId: "p", sinceMs: 1, deadlineAtMs: 5 },
        { fact: "drained", poolId: "q", sinceMs: 3, deadlineAtMs: 4 },
        { fact: "undrained", poolId: "q" },
        { ...seen, replicaId: "r0", facts: replicaFacts("1") },
        { ...seen, replicaId: "r1", facts: replicaFacts("1") },
        { ...seen, replicaId: "r2", facts: replicaFacts("1") },
        { ...seen, replicaId: "r0", facts: replicaFacts("2") },
        { fact: "replica-gone", poolId: "p", replicaId: "r2" },
        { fact: "configured", settings: settingsWith("p"), atMs: 6 },
        { fact: "configured", settings: settingsWith("p", "q"), atMs: 7 },
      ]);
      const { drains, replicas, settings } = store.recover();
      assert.deepEqual(drains, [{ poolId: "p", sinceMs: 1, deadlineAtMs: 5 }]);
      assert.deepEqual(settings, settingsWith("p", "q"));
      assert.deepEqual(byReplica(replicas), [
        { poolId: "p", replicaId: "r0", facts: replicaFacts("2") },
        { poolId: "p", replicaId: "r1", facts: replicaFacts("1") },
      ]);
    }));

  test(`${name}: what was known of a pool goes with its settings`, () =>
    use(async ({ store }) => {
      await store.commit([
        { fact: "drained", poolId: "p", sinceMs: 1, deadlineAtMs: 2 },
        { fact: "replica-seen", poolId: "p", replicaId: "r0", facts: replicaFacts("1") },
        { fact: "configured", settings: settingsWith("q"), atMs: 6 },
      ]);
      const { drains, replicas } = store.recover();
      assert.deepEqual({ drains, replicas }, { drains: [], replicas: [] });
    }));
}

const byTenant = (tenants: Recovered["tenants"]) =>
  [...tenants].sort((a, b) => (a.tenantId < b.tenantId ? -1 : 1));

const byReplica = (replicas: Recovered["replicas"]) =>
  [...replicas].sort((a, b) => (a.replicaId < b.replicaId ? -1 : 1));
