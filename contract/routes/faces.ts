// Every route of every listener. The servers must serve exactly these rows and OpenAPI is generated from
// them, so neither can drift.

import { clientRoutes } from "./client.ts";
import { operatorRoutes } from "./operator.ts";
import { poolManagerRoutes } from "./pool-manager.ts";
import type { Route } from "./route.ts";

/** The documents that OpenAPI is published in. */
export const faces = {
  orchqueue: {
    title: "llama-orch OrchQueue API",
    says: "Tasks, streams, sessions, artifacts and pools: everything a client and its operator need in daily use.",
    server: "http://127.0.0.1:8080",
    routes: clientRoutes,
  },
  operator: {
    title: "llama-orch operator API",
    says: "Lists for tools and pages, the model catalog, and the nodes of a cluster.",
    server: "http://127.0.0.1:8080",
    routes: operatorRoutes,
  },
  "pool-managerd": {
    title: "llama-orch pool manager API",
    says: "The daemon on each machine that holds GPUs. Its caller is the orchestrator.",
    server: "http://127.0.0.1:9200",
    routes: poolManagerRoutes,
  },
} as const satisfies Record<
  string,
  { title: string; says: string; server: string; routes: readonly Route[] }
>;
export type FaceName = keyof typeof faces;
