// The whole configuration in one schema. One file serves both daemons; each sees its own part of it.

import Type from "typebox";
import { Artifacts, Catalog } from "./catalog.ts";
import { Auth, Gateway, Network, Tls } from "./network.ts";
import { Llamacpp, Node, Nodes, Placement } from "./nodes.ts";
import { Policy } from "./policy.ts";
import { PoolConfig } from "./pool.ts";
import { Journal, Retention, Session, Store, Tenant } from "./sessions.ts";
import { closed, ms, optional, path, type Resolved, setting } from "./setting.ts";
import { Stream } from "./streams.ts";
import { Slo, Telemetry } from "./telemetry.ts";

export const ConfigFile = closed(
  {
    profile: setting(Type.Enum(["home", "cloud"]), "home", "home is one machine, cloud lets nodes register."),
    data_dir: setting(
      path(),
      "~/.local/share/llama-orch",
      "Where the journal, the store, artifacts and logs lie.",
    ),
    shutdown_ms: setting(
      ms(0, 3_600_000),
      30_000,
      "How long running streams may finish when the daemon is stopped.",
    ),
    auth: Auth,
    network: Network,
    tls: optional(Tls, "The certificate of the orchestrator; plain HTTP when absent."),
    gateway: Gateway,
    pools: setting(Type.Array(PoolConfig, { maxItems: 256 }), [], "The pools of this installation."),
    session: Session,
    tenants: setting(Type.Array(Tenant, { maxItems: 10_000 }), [], "Budgets per tenant."),
    stream: Stream,
    retention: Retention,
    store: Store,
    journal: Journal,
    artifacts: Artifacts,
    catalog: Catalog,
    placement: Placement,
    nodes: Nodes,
    node: Node,
    llamacpp: Llamacpp,
    policy: Policy,
    slo: Slo,
    telemetry: Telemetry,
  },
  { title: "Configuration of llama-orch" },
);

export type Config = Resolved<typeof ConfigFile>;

const orchestratordSections = [
  "profile",
  "data_dir",
  "shutdown_ms",
  "auth",
  "network",
  "tls",
  "gateway",
  "pools",
  "session",
  "tenants",
  "stream",
  "retention",
  "store",
  "journal",
  "artifacts",
  "catalog",
  "placement",
  "nodes",
  "llamacpp",
  "policy",
  "slo",
  "telemetry",
] as const satisfies readonly (keyof Config)[];

const poolManagerdSections = [
  "data_dir",
  "shutdown_ms",
  "auth",
  "network",
  "pools",
  "catalog",
  "node",
  "telemetry",
] as const satisfies readonly (keyof Config)[];

export type OrchestratordConfig = Pick<Config, (typeof orchestratordSections)[number]>;
export type PoolManagerdConfig = Pick<Config, (typeof poolManagerdSections)[number]>;

export const orchestratordConfig = (config: Config): OrchestratordConfig =>
  pick(config, orchestratordSections);
export const poolManagerdConfig = (config: Config): PoolManagerdConfig => pick(config, poolManagerdSections);

function pick<K extends keyof Config>(config: Config, keys: readonly K[]): Pick<Config, K> {
  const picked: Partial<Config> = {};
  for (const key of keys) if (config[key] !== undefined) Object.assign(picked, { [key]: config[key] });
  return Object.freeze(picked) as Pick<Config, K>;
}
