// What one caller or tenant may do at a time: token buckets per client and class, and per tenant a rate, a
// number of live tasks and an amount of memory. Looking is free; taking happens with the acceptance, except
// that a caller who asks too often pays for asking.

import type { Priority } from "@llama-orch/contract";
import { clampRetry } from "../estimate/backoff.ts";
import { limits } from "../limits.ts";
import type { Refusal } from "../outcome.ts";
import type { Bucket, Pool, State, Tenant } from "../state.ts";
import { refuse } from "./refusal.ts";

/** Twice the rate may come at once, and one task always: a rate below one in two seconds is a rate too. */
const burstOf = (rps: number): number => Math.max(1, 2 * rps);

/** Refilled in parts, a whole token may come out short by this much. */
const tokenPrecision = 1e-9;

/** Takes a token from the client's bucket, or says when the next one comes. */
export function takeClientToken(
  state: State,
  nowMs: number,
  client: string,
  priority: Priority,
  pool: Pool | undefined,
): Refusal | undefined {
  const rps = pool?.settings.classes[priority].rateLimitRps;
  if (rps === undefined) return undefined;
  const waitMs = take(state, nowMs, `client ${priority} ${client}`, rps, 1);
  if (waitMs === 0) return undefined;
  return refuse("ADMISSION_REJECT", `This client may send ${rps} ${priority} tasks a second.`, {
    policy_label: "rate-limit",
    retry_after_ms: clampRetry(waitMs),
  });
}

export function checkTenantQuota(
  state: State,
  nowMs: number,
  tenant: Tenant,
  memoryBytes: number,
  pool: Pool | undefined,
  nextMs: () => number,
): Refusal | undefined {
  const quota = pool?.settings.tenants[tenant.id];
  if (quota === undefined) return undefined;
  const full = (message: string, waitMs: number) =>
    refuse("ADMISSION_REJECT", message, { policy_label: "quota", retry_after_ms: clampRetry(waitMs) });
  if (quota.maxConcurrent !== undefined && tenant.live >= quota.maxConcurrent) {
    return full(`Tenant ${tenant.id} has ${tenant.live} live tasks, which is all it may have.`, nextMs());
  }
  if (quota.maxMemoryBytes !== undefined && tenant.memoryBytes + memoryBytes > quota.maxMemoryBytes) {
    return full(
      `Tenant ${tenant.id} would use more than its ${quota.maxMemoryBytes} bytes of memory.`,
      nextMs(),
    );
  }
  if (quota.rps === undefined) return undefined;
  const waitMs = take(state, nowMs, `tenant ${tenant.id}`, quota.rps, 0);
  if (waitMs === 0) return undefined;
  return full(`Tenant ${tenant.id} may send ${quota.rps} tasks a second.`, waitMs);
}

/** The tenant's token, taken once the task is accepted. */
export function takeTenantToken(state: State, nowMs: number, tenantId: string, pool: Pool): void {
  const rps = pool.settings.tenants[tenantId]?.rps;
  if (rps !== undefined) take(state, nowMs, `tenant ${tenantId}`, rps, 1);
}

/** 0 when a token is there (and `amount` of it is taken), else the milliseconds until it is. */
function take(state: State, nowMs: number, key: string, rps: number, amount: 0 | 1): number {
  const bucket = bucketOf(state, nowMs, key, rps);
  const missing = 1 - tokenPrecision - bucket.tokens;
  if (missing > 0) return Math.ceil((missing / rps) * 1000);
  bucket.tokens -= amount;
  return 0;
}

function bucketOf(state: State, nowMs: number, key: string, rps: number): Bucket {
  const bucket = state.rateBuckets.get(key) ?? { tokens: burstOf(rps), atMs: nowMs };
  bucket.tokens = Math.min(burstOf(rps), bucket.tokens + ((nowMs - bucket.atMs) / 1000) * rps);
  bucket.atMs = nowMs;
  state.rateBuckets.set(key, bucket);
  const oldest = state.rateBuckets.oldest();
  if (state.rateBuckets.size > limits.rateLimitedClients && oldest) state.rateBuckets.delete(oldest);
  return bucket;
}
