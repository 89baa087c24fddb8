// Two stores that were told the same give the same answers, before it is safe, afterwards, and in another
// process.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { admitted, ended, replicaFacts, sent, session, settingsWith } from "../fixtures/facts.ts";
import { MemoryStore } from "../fixtures/memory-store.ts";
import { onDisk } from "../fixtures/on-disk.ts";
import type { Fact, Store } from "../store.ts";

const tenants = ["default", "a", "b"];
const names = ["x", "y"];
const runs = 10;

/** What becomes a fact once it is known which jobs there are. */
const seed = fc.record({
  kind: fc.constantFrom(
    ...(["admitted", "admitted", "ended", "ended", "sent", "progressed", "read"] as const),
    ...(["drained", "undrained", "session-deleted", "replica-seen", "replica-gone", "configured"] as const),
  ),
  tenant: fc.nat(2),
  name: fc.nat(1),
  /** Of the jobs there are; sometimes of one that is not there. */
  job: fc.nat(1000),
  serial: fc.nat(2),
  number: fc.nat(3000),
});
type Seed = typeof seed extends fc.Arbitrary<infer T> ? T : never;

const step = fc.record({
  advanceMs: fc.nat(700),
  seeds: fc.array(seed, { maxLength: 4 }),
  sweeps: fc.boolean(),
});

class Teller {
  readonly #jobs: { readonly jobId: string; readonly tenantId: string; readonly taskId: string }[] = [];

  fact({ kind, tenant, name, job, serial, number }: Seed, nowMs: number): Fact {
    const tenantId = tenants[tenant] as string;
    const taskId = names[name] as string;
    const { jobId, ...of } = this.#jobs[job % (this.#jobs.length + 1)] ?? { jobId: "none", tenantId, taskId };
    const poolId = `p${number % 2}`;
    switch (kind) {
      case "admitted": {
        const sessionSerial = serial === 0 ? null : 10 * tenant + serial;
        const more = { tenantId, expiresAtMs: nowMs + number, turns: number };
        this.#jobs.push({ jobId: `j${this.#jobs.length}`, tenantId, taskId });
        return admitted(`j${this.#jobs.length - 1}`, {
          tenantId,
          taskId,
          atMs: nowMs,
          ...(sessionSerial && { sessionSerial, session: session(sessionSerial, more) }),
        });
      }
      case "ended":
        return ended(jobId, { ...of, atMs: nowMs, spent: { tokens: number, timeMs: number / 7, cost: 0.1 } });
      case "sent":
        return sent(jobId, number);
      case "progressed":
        return { fact: kind, jobId, frames: number, tokensOut: number, streamDigest: `d${number}` };
      case "read":
        return { fact: kind, jobId };
      case "drained":
        return { fact: kind, poolId, sinceMs: nowMs, deadlineAtMs: nowMs + number };
      case "undrained":
        return { fact: kind, poolId };
      case "session-deleted":
        return { fact: kind, tenantId, sessionId: "session", atMs: nowMs };
      case "replica-seen":
        return { fact: kind, poolId, replicaId: `r${serial}`, facts: replicaFacts(`b${number}`) };
      case "replica-gone":
        return { fact: kind, poolId, replicaId: `r${serial}` };
      case "configured":
        return { fact: kind, settings: settingsWith(...(serial === 0 ? ["p0"] : ["p0", "p1"])), atMs: nowMs };
      default:
        return kind satisfies never;
    }
  }

  async answers(store: Store): Promise<unknown> {
    const answers = names.flatMap((taskId) =>
      [undefined, ...tenants].flatMap((tenantId) => [
        store.remembered(tenantId, taskId),
        store.transcript(tenantId, taskId),
      ]),
    );
    const bodies = [...this.#jobs.map(({ jobId }) => jobId), "none"].map((jobId) => store.body(jobId));
    return Promise.all<unknown>([...answers, ...bodies]);
  }
}

function recoveredBy(store: Store) {
  const { sessions, tenants: accounts, drains, replicas, ...rest } = store.recover();
  const sorted = [sessions, accounts, drains, replicas].map((list) =>
    list.map((each) => JSON.stringify(Object.entries(each).sort())).sort(),
  );
  return { ...rest, sorted };
}

test("a store on disk answers as one in memory, whatever it was told", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
      let now = 0;
      const keeping = { nowMs: () => now, keepEndedMs: 1000, rememberMs: 2000, endedMax: 6 };
      const { open } = onDisk(t);
      const memory = new MemoryStore(keeping);
      const disk = open(keeping);
      const teller = new Teller();
      for (const { advanceMs, seeds, sweeps } of steps) {
        now += advanceMs;
        const facts = seeds.map((each) => teller.fact(each, now));
        await memory.commit(facts);
        const safe = disk.commit(facts);
        assert.deepEqual(await teller.answers(disk), await teller.answers(memory));
        await safe;
        if (sweeps) await Promise.all([memory.sweep(now), disk.sweep(now)]);
        assert.deepEqual(await teller.answers(disk), await teller.answers(memory));
      }
      await disk.close();
      const again = open(keeping);
      assert.deepEqual(recoveredBy(again), recoveredBy(memory));
      assert.deepEqual(await teller.answers(again), await teller.answers(memory));
      await again.close();
    }),
    { numRuns: runs, endOnFailure: true },
  );
});
