// Rules that no schema can say, because they compare values. Each names what it reads and is passed over
// while one of those values is itself a problem, so that one mistake is reported once.

import { given } from "../problem.ts";
import { isLoopback, withoutCredentials } from "./address.ts";
import type { Config } from "./config.ts";
import { type Finding, finding, none, repeated, type Stated } from "./finding.ts";
import { type Key, leaves, wholeFile } from "./keys.ts";
import { apiKeyEntry } from "./network.ts";
import type { PoolConfig } from "./pool.ts";
import { poolRules } from "./pool-rules.ts";

interface Rule {
  readonly reads: readonly string[];
  find(config: Config): readonly Finding[];
}

/** Everything the rules find in a configuration whose values at the `faulty` paths are not to be trusted. */
export function findings(config: Config, faulty: readonly string[], stated: Stated): Finding[] {
  // A wrong variable is a fault of `pools[]`, a wrong value of the file one of `pools[3]`.
  const inAll = (path: string) => path.replace(/^pools\[\d+\]/, "pools[]");
  const sound = (path: string) =>
    !faulty.some((fault) => overlap(fault, path) || overlap(fault, inAll(path)));
  const soundForAll = (path: string) => !faulty.some((fault) => overlap(inAll(fault), path));
  const found = rules.filter((rule) => rule.reads.every(soundForAll)).flatMap((rule) => rule.find(config));
  found.push(...unreadableUrls(config).filter(({ path }) => sound(path)));
  if (faulty.includes("pools")) return found;
  for (const [index, pool] of config.pools.entries()) {
    const inside = (path: string) => `pools[${index}].${path}`;
    for (const rule of poolRules) {
      if (!rule.reads.map(inside).every(sound)) continue;
      const inPool = rule.find(pool, (path) => stated(inside(path)));
      found.push(...inPool.map((each) => ({ ...each, path: inside(each.path) })));
    }
  }
  return found;
}

const overlap = (a: string, b: string): boolean => within(a, b) || within(b, a);
const within = (a: string, b: string): boolean => a === b || a.startsWith(`${b}.`) || a.startsWith(`${b}[`);

const credential = "LLORCH_API_TOKEN or ORCHD_API_KEYS set";

const rules: readonly Rule[] = [
  {
    reads: ["pools[].id"],
    find: ({ pools }) => repeated(pools, (pool) => pool.id, "pools", "id"),
  },
  {
    reads: [
      "pools[].engine",
      "pools[].model",
      "pools[].provisioning",
      "pools[].scheduling",
      "pools[].admission",
    ],
    find: ({ pools }) => disagreements(pools),
  },
  {
    reads: ["pools[].id", "pools[].model", "pools[].provisioning"],
    find: ({ pools }) =>
      pools.flatMap((pool, index) => {
        const url = pool.provisioning.base_url;
        const other = pools.slice(0, index).find((earlier) => earlier.provisioning.base_url === url);
        return url === undefined || other === undefined || other.model === pool.model
          ? none
          : finding(
              `pools[${index}].model`,
              JSON.stringify(withoutCredentials(pool.model)),
              `${withoutCredentials(other.model)}, which the engine at the same base_url serves for pool ${other.id}`,
            );
      }),
  },
  {
    reads: ["tenants"],
    find: ({ tenants }) => repeated(tenants, (tenant) => tenant.id, "tenants", "id"),
  },
  {
    reads: ["auth.api_keys"],
    find: ({ auth }) =>
      repeated(auth.api_keys ?? [], (entry) => apiKeyEntry(entry).key, "auth.api_keys", "key"),
  },
  {
    reads: ["profile", "node.cloud", "auth.token"],
    find: (config) =>
      needsToken(config) && config.auth.token === undefined
        ? finding("auth.token", "nothing", "a token (LLORCH_API_TOKEN), which the cloud profile requires")
        : none,
  },
  {
    reads: ["profile", "node.cloud", "auth.bind_addr", "auth.token", "auth.api_keys"],
    find: (config) =>
      exposed(config, "auth.bind_addr", config.auth.bind_addr, credential, hasCredential(config)),
  },
  {
    reads: ["profile", "node.cloud", "gateway.addr", "auth.token", "auth.api_keys"],
    find: (config) => exposed(config, "gateway.addr", config.gateway.addr, credential, hasCredential(config)),
  },
  {
    reads: ["profile", "node.cloud", "node.addr", "auth.token"],
    find: (config) =>
      exposed(config, "node.addr", config.node.addr, "LLORCH_API_TOKEN set", config.auth.token !== undefined),
  },
  {
    reads: ["node.cloud", "node.orchestrator_url", "node.address"],
    find: ({ node }) =>
      (["orchestrator_url", "address"] as const).flatMap((key) =>
        !node.cloud || node[key] !== undefined
          ? none
          : finding(
              `node.${key}`,
              "nothing",
              `a URL (${cloudVariable[key]}), which a node of the cloud profile needs`,
            ),
      ),
  },
  {
    reads: ["node.heartbeat_interval_secs", "nodes.timeout_ms"],
    find: ({ node, nodes }) =>
      node.heartbeat_interval_secs * 1000 < nodes.timeout_ms
        ? none
        : finding(
            "node.heartbeat_interval_secs",
            String(node.heartbeat_interval_secs),
            `less than the node timeout, which is ${nodes.timeout_ms} ms`,
          ),
  },
];

/** A pattern lets through what looks like a URL; whether it is one is for those to say who will use it. */
function unreadableUrls(config: Config): readonly Finding[] {
  return [...leaves(wholeFile, config)].flatMap(({ path, key, value }) => {
    const unreadable = (schema: Key, url: unknown, at: string) =>
      schema["x-url"] !== true || typeof url !== "string" || isReachable(url)
        ? none
        : finding(at, given({ ...schema }, url), "a URL with a valid host and port, as http://10.0.0.7:8080");
    return Array.isArray(value)
      ? value.flatMap((url, index) => unreadable(key.items ?? key, url, `${path}[${index}]`))
      : unreadable(key, value, path);
  });
}

/** Nobody listens on port 0, and no connection can be made to it. */
const isReachable = (url: string): boolean => URL.canParse(url) && new URL(url).port !== "0";

const cloudVariable = { orchestrator_url: "ORCHESTRATORD_URL", address: "POOL_MANAGERD_ADDRESS" } as const;

const needsToken = ({ profile, node }: Config): boolean => profile === "cloud" || node.cloud;

const hasCredential = ({ auth }: Config): boolean => auth.token !== undefined || auth.api_keys !== undefined;

/** In the cloud profile the missing token is a finding of its own, and the only one. */
function exposed(
  config: Config,
  path: string,
  addr: string,
  wants: string,
  has: boolean,
): readonly Finding[] {
  if (has || needsToken(config) || isLoopback(addr)) return none;
  return finding(
    path,
    JSON.stringify(addr),
    `a loopback address such as 127.0.0.1, or any address with ${wants} (NON_LOOPBACK_WITHOUT_TOKEN)`,
  );
}

/** Pools that may fall into one replica set share its queue, and a queue has one order. */
function disagreements(pools: readonly PoolConfig[]): readonly Finding[] {
  const set = (pool: PoolConfig) =>
    JSON.stringify([
      pool.engine,
      pool.model,
      pool.quant,
      pool.ctx,
      pool.sampler_profile_version,
      pool.determinism,
      pool.provisioning.engine?.version,
    ]);
  const order = ({ scheduling, admission }: PoolConfig) =>
    JSON.stringify([
      scheduling,
      Object.fromEntries(admission.priorities.map(({ name, weight }) => [name, weight]).sort()),
      Object.fromEntries(admission.fairness.tenants.map(({ id, weight }) => [id, weight]).sort()),
    ]);
  return pools.flatMap((pool, index) => {
    const first = pools.slice(0, index).find((earlier) => set(earlier) === set(pool));
    return first === undefined || order(first) === order(pool)
      ? none
      : finding(
          `pools[${index}].scheduling`,
          "another order or other weights",
          `the scheduling and weights of pool ${first.id}, with which it shares one queue`,
        );
  });
}
