// Defaults that depend on other values: the profile, the machine, the engine of a pool. They are put in after
// the constant ones, and only where nobody has spoken.

import { Priority } from "../words.ts";
import type { Config } from "./config.ts";
import { type Draft, isObject } from "./keys.ts";
import type { PoolConfig } from "./pool.ts";
import { classWeights } from "./scheduling.ts";

/** What is true of the machine and not of the installation. */
export interface Machine {
  readonly home: string;
  readonly hostname: string;
}

/** The draft may hold values of a wrong type, which are problems already; nothing here may trip over them. */
type Loose<T> = { -readonly [K in keyof T]?: T[K] | undefined };

export function derive(draft: Draft, machine: Machine): void {
  const { auth, node, catalog, artifacts, profile, data_dir, pools } = draft as Loose<Config>;
  const cloud = profile === "cloud";
  const ids = Array.isArray(pools)
    ? pools.map((pool) => pool?.id).filter((id) => typeof id === "string")
    : [];
  fallback(auth, "bind_addr", cloud ? "0.0.0.0:8080" : "127.0.0.1:8080");
  fallback(node, "addr", node?.cloud === true ? "0.0.0.0:9200" : "127.0.0.1:9200");
  fallback(node, "id", machine.hostname);
  fallback(node, "machine_id", node?.id);
  fallback(node, "pools", ids.length > 0 ? ids : ["pool-0"]);
  fallback(catalog?.trust_policy, "mode", cloud || node?.cloud === true ? "strict" : "permissive");
  fallback(artifacts, "root", `${data_dir}/artifacts`);
  if (Array.isArray(pools)) for (const pool of pools) derivePool(pool);
}

function derivePool(pool: Loose<PoolConfig> | undefined): void {
  fallback(pool?.provisioning, "mode", pool?.engine === "llamacpp" ? "embedded" : "external");
  fallback(pool, "determinism", keepsSlotsApart(pool) ? "strict" : "best_effort");
  deriveWaiting(pool);
}

/** True where no two sequences can share a batch: the embedded worker's own contexts, or a single slot. */
export function keepsSlotsApart(pool: Loose<PoolConfig> | undefined): boolean {
  return pool?.slots === 1 || pool?.provisioning?.mode === "embedded";
}

/** The part of a pool that a pool without a file has too. */
export function deriveWaiting(pool: Loose<Pick<PoolConfig, "admission" | "queue">> | undefined): void {
  const admission = pool?.admission;
  const queue: unknown = pool?.queue;
  if (isObject(queue) && queue.full_policy === "reject-new") queue.full_policy = "reject";
  fallback(admission, "priorities", []);
  const priorities: unknown = admission?.priorities;
  if (!Array.isArray(priorities)) return;
  for (const name of Priority.enum) {
    if (!priorities.some((entry) => entry?.name === name)) priorities.push({ name });
  }
  for (const entry of priorities) fallback(entry, "weight", classWeights[entry?.name as Priority]);
}

function fallback(place: unknown, key: string, value: unknown): void {
  if (isObject(place) && place[key] === undefined) place[key] = value;
}
