// The typed client: one method per row of the route table, and `run`, which is what most callers want. It
// holds no connection open between calls, so there is nothing to close.

import type {
  AdmissionResponse,
  ArtifactCreated,
  ArtifactDocument,
  Availability,
  Capabilities,
  CatalogEntry,
  CatalogInput,
  CatalogList,
  DrainRequest,
  Heartbeat,
  HeartbeatReply,
  NodeList,
  NodeRegistered,
  NodeRegistration,
  PageQuery,
  PoolHealth,
  PoolList,
  ReloadReply,
  ReloadRequest,
  SessionInfo,
  StateReply,
  StateRequest,
  TaskList,
  TaskQuery,
  TaskRequest,
  TaskView,
  Verification,
} from "@llama-orch/contract";
import { OrchError } from "@llama-orch/contract";
import { type CallOptions, call } from "./answer.ts";
import { type Connection, sendable } from "./call.ts";
import type { Frame } from "./frames.ts";
import { type RetrySettings, retryDefaults } from "./retry.ts";
import { type Run, type RunOptions, type RunRequest, startRun } from "./run.ts";
import { openStream, type StreamOptions } from "./stream.ts";

export interface ClientOptions extends Partial<RetrySettings> {
  /** Where orchestratord listens, such as http://127.0.0.1:8080; a path in front of its routes is kept. */
  readonly baseUrl: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
  /** Sent as `X-API-Key`. */
  readonly apiKey?: string;
  readonly fetch?: typeof globalThis.fetch;
  /** How long an answer may take; streams: to begin. Default 30 000. */
  readonly timeoutMs?: number;
  /** A stream silent for longer is taken up again; more than the server's heartbeat. Default 60 000. */
  readonly silenceMs?: number;
}

export interface Client {
  /** Hands in a task and follows it to its end, through lost connections and restarts. */
  run(request: RunRequest, options?: RunOptions): Run;
  createTask(request: TaskRequest, options?: CallOptions): Promise<AdmissionResponse>;
  /** One connection and no more: it ends where the connection ends. */
  streamTask(id: string, options?: StreamOptions): AsyncIterable<Frame>;
  cancelTask(id: string, options?: CallOptions): Promise<void>;
  getSession(id: string, options?: CallOptions): Promise<SessionInfo>;
  deleteSession(id: string, options?: CallOptions): Promise<void>;
  createArtifact(document: ArtifactDocument, options?: CallOptions): Promise<ArtifactCreated>;
  getArtifact(id: string, options?: CallOptions): Promise<ArtifactDocument>;
  getCapabilities(options?: CallOptions): Promise<Capabilities>;
  getPoolHealth(id: string, options?: CallOptions): Promise<PoolHealth>;
  drainPool(id: string, request: DrainRequest, options?: CallOptions): Promise<void>;
  /** Answers when the new model serves, which may take minutes. It is never sent twice. */
  reloadPool(id: string, request: ReloadRequest, options?: CallOptions): Promise<ReloadReply>;
  /** The text that Prometheus reads. */
  getMetrics(options?: CallOptions): Promise<string>;
  listTasks(query?: TaskQuery, options?: CallOptions): Promise<TaskList>;
  getTask(id: string, options?: CallOptions): Promise<TaskView>;
  listPools(options?: CallOptions): Promise<PoolList>;
  listModels(query?: PageQuery, options?: CallOptions): Promise<CatalogList>;
  createModel(model: CatalogInput, options?: CallOptions): Promise<CatalogEntry>;
  getModel(id: string, options?: CallOptions): Promise<CatalogEntry>;
  deleteModel(id: string, options?: CallOptions): Promise<void>;
  verifyModel(id: string, options?: CallOptions): Promise<Verification>;
  setModelState(id: string, request: StateRequest, options?: CallOptions): Promise<StateReply>;
  registerNode(node: NodeRegistration, options?: CallOptions): Promise<NodeRegistered>;
  heartbeatNode(id: string, heartbeat: Heartbeat, options?: CallOptions): Promise<HeartbeatReply>;
  deregisterNode(id: string, options?: CallOptions): Promise<void>;
  listNodes(options?: CallOptions): Promise<NodeList>;
  getAvailability(options?: CallOptions): Promise<Availability>;
}

export function createClient(options: ClientOptions): Client {
  const at = connectionOf(options);
  const path = (id: string) => ({ path: { id } });
  return {
    run: (request, wish) => startRun(at, request, wish),
    createTask: (body, wish) => call(at, "createTask", { body }, wish),
    streamTask: (id, wish) => openStream(at, id, wish),
    cancelTask: (id, wish) => call(at, "cancelTask", path(id), wish),
    getSession: (id, wish) => call(at, "getSession", path(id), wish),
    deleteSession: (id, wish) => call(at, "deleteSession", path(id), wish),
    createArtifact: (body, wish) => call(at, "createArtifact", { body }, wish),
    getArtifact: (id, wish) => call(at, "getArtifact", path(id), wish),
    getCapabilities: (wish) => call(at, "getCapabilities", {}, wish),
    getPoolHealth: (id, wish) => call(at, "getPoolHealth", path(id), wish),
    drainPool: async (id, body, wish) => void (await call(at, "drainPool", { ...path(id), body }, wish)),
    reloadPool: (id, body, wish) => call(at, "reloadPool", { ...path(id), body }, wish),
    getMetrics: (wish) => call(at, "getMetrics", {}, wish),
    listTasks: (query = {}, wish) => call(at, "listTasks", { query }, wish),
    getTask: (id, wish) => call(at, "getTask", path(id), wish),
    listPools: (wish) => call(at, "listPools", {}, wish),
    listModels: (query = {}, wish) => call(at, "listModels", { query }, wish),
    createModel: (body, wish) => call(at, "createModel", { body }, wish),
    getModel: (id, wish) => call(at, "getModel", path(id), wish),
    deleteModel: (id, wish) => call(at, "deleteModel", path(id), wish),
    verifyModel: (id, wish) => call(at, "verifyModel", path(id), wish),
    setModelState: (id, body, wish) => call(at, "setModelState", { ...path(id), body }, wish),
    registerNode: (body, wish) => call(at, "registerNode", { body }, wish),
    heartbeatNode: (id, body, wish) => call(at, "heartbeatNode", { ...path(id), body }, wish),
    deregisterNode: (id, wish) => call(at, "deregisterNode", path(id), wish),
    listNodes: (wish) => call(at, "listNodes", {}, wish),
    getAvailability: (wish) => call(at, "getAvailability", {}, wish),
  };
}

function connectionOf(options: ClientOptions): Connection {
  const { token, apiKey, patienceMs = retryDefaults.patienceMs } = options;
  return {
    baseUrl: addressOf(options.baseUrl),
    fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
    headers: {
      ...(token !== undefined && { Authorization: `Bearer ${sendable("token", token)}` }),
      ...(apiKey !== undefined && { "X-API-Key": sendable("apiKey", apiKey) }),
    },
    retry: {
      patienceMs,
      contactMs: options.contactMs ?? patienceMs,
      attemptsMax: options.attemptsMax ?? retryDefaults.attemptsMax,
      baseMs: options.baseMs ?? retryDefaults.baseMs,
      capMs: options.capMs ?? retryDefaults.capMs,
    },
    timeoutMs: options.timeoutMs ?? 30_000,
    silenceMs: options.silenceMs ?? 60_000,
    reached: false,
  };
}

/** Without credentials, query and trailing slash, so that it may be shown and continued. */
function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const accepts = "baseUrl: accepted is an address such as http://127.0.0.1:8080";
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new OrchError("INVALID_PARAMS", `${accepts}; the one given is none.`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new OrchError("INVALID_PARAMS", `${accepts}, without a password or query; pass token or apiKey.`);
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}
