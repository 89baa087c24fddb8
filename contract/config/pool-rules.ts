// Rules about one pool that compare its values with each other.

import { keepsSlotsApart } from "./derived.ts";
import { type Finding, finding, none, repeated, type Stated } from "./finding.ts";
import type { PoolConfig } from "./pool.ts";

export interface PoolRule {
  readonly reads: readonly (keyof PoolConfig)[];
  find(pool: PoolConfig, stated: Stated): readonly Finding[];
}

const listed = (values: readonly unknown[]): string => JSON.stringify(values);

/** Paths that a rule reads and finds are inside the pool. */
export const poolRules: readonly PoolRule[] = [
  {
    reads: ["devices", "allow_cpu"],
    find: ({ devices, allow_cpu }) => {
      if ((devices.length === 0) === allow_cpu) return none;
      return allow_cpu
        ? finding("allow_cpu", `true with devices ${listed(devices)}`, "false, or an empty list of devices")
        : finding("devices", "an empty list", "at least one GPU, or allow_cpu: true (LLORCH_ALLOW_CPU=1)");
    },
  },
  {
    reads: ["devices", "tensor_split"],
    find: ({ devices, tensor_split: split }) => {
      if (split === undefined) return none;
      if (devices.length < 2)
        return finding("tensor_split", listed(split), "nothing, since a split needs two devices");
      const sum = split.reduce((total, share) => total + share, 0);
      return split.length === devices.length && Math.abs(sum - 1) <= 0.01 + 1e-9
        ? none
        : finding(
            "tensor_split",
            listed(split),
            `${devices.length} ratios, one per device, with sum 1.0 within 0.01`,
          );
    },
  },
  {
    reads: ["timeouts"],
    find: ({ timeouts: { idle_ms, wall_ms } }) =>
      wall_ms === undefined || idle_ms <= wall_ms
        ? none
        : finding("timeouts.idle_ms", String(idle_ms), `an integer of at most wall_ms, which is ${wall_ms}`),
  },
  {
    reads: ["determinism", "slots", "provisioning"],
    find: (pool) =>
      pool.determinism === "best_effort" || keepsSlotsApart(pool)
        ? none
        : finding(
            "determinism",
            `strict with ${pool.slots} slots that share batches`,
            "strict with slots: 1 (and more replicas), strict with provisioning.mode: embedded " +
              "(a context for each slot), or best_effort",
          ),
  },
  {
    reads: ["engine", "provisioning"],
    find: ({ engine, provisioning }) =>
      provisioning.mode !== "embedded" || engine === "llamacpp"
        ? none
        : finding("provisioning.mode", `embedded for ${engine}`, "embedded only for the engine llamacpp"),
  },
  {
    reads: ["provisioning"],
    find: ({ provisioning }, stated) => {
      const [block, accepted] = neededBlock[provisioning.mode];
      return block === undefined || provisioning[block] !== undefined || !stated("provisioning.mode")
        ? none
        : finding(`provisioning.${block}`, "nothing", `${accepted}, since the mode is ${provisioning.mode}`);
    },
  },
  {
    reads: ["admission"],
    find: ({ admission: { priorities, fairness } }) => [
      ...repeated(priorities, (entry) => entry.name, "admission.priorities", "name"),
      ...repeated(fairness.tenants, (tenant) => tenant.id, "admission.fairness.tenants", "id"),
    ],
  },
  {
    reads: ["canary", "model"],
    find: ({ canary, model }) => {
      if (canary === undefined) return none;
      if (canary.model === model)
        return finding("canary.model", "the model of the pool", "another model to try");
      return canary.percent === undefined && canary.label === undefined
        ? finding("canary", "neither percent nor label", "percent, label, or both")
        : none;
    },
  },
];

/** What each way of provisioning cannot do without. */
const neededBlock = {
  embedded: [undefined, ""],
  external: ["base_url", "the URL of the running engine"],
  source: ["source", "an object with repo and ref"],
  container: ["container", "an object with image and tag"],
  package: ["package", "an object with name"],
  binary: ["binary", "an object with url and checksum"],
} as const satisfies Record<
  PoolConfig["provisioning"]["mode"],
  readonly [keyof PoolConfig["provisioning"] | undefined, string]
>;
