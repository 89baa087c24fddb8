// Engines that somebody else started: they are watched from here, since no supervisor does it, and announced
// like any other. A server that comes back is a new process as far as anyone can tell.

import type { OrchestratordConfig, ReplicaAnnouncement, ReplicaPhase } from "@llama-orch/contract";
import type { Adapter, EngineAddress } from "@llama-orch/engines/adapter";
import type { Clock, Timer } from "../clock.ts";

export interface ExternalReplica extends EngineAddress {
  readonly poolId: string;
  readonly replicaId: string;
}

export interface ExternalOptions {
  readonly replicas: readonly ExternalReplica[];
  readonly bind: (address: EngineAddress) => Adapter;
  readonly announce: (announcement: ReplicaAnnouncement) => void;
  readonly clock: Clock;
  readonly pollMs: number;
}

export interface ExternalWatch {
  /**
   * An attempt on this replica has just been lost: its server is looked at now, and one that does not answer
   * is no hiccup. Else its tasks would use up their tries before the next look.
   */
  doubt(poolId: string, replicaId: string): void;
  close(): Promise<void>;
}

/** One server and what is known of it. */
interface Watch {
  readonly key: string;
  look(): void;
  close(): Promise<void>;
}

/** One missed answer may be a hiccup; so many in a row are not. */
const missesMax = 3;
const askMs = 2000;

/** Every replica of the configuration that runs already. */
export function externalReplicas(config: OrchestratordConfig): ExternalReplica[] {
  const found: ExternalReplica[] = [];
  for (const { id: poolId, engine, provisioning } of config.pools) {
    const { mode, base_url: url } = provisioning;
    if (mode === "external" && url !== undefined) found.push({ poolId, replicaId: "r0", engine, url });
  }
  const { url, pool: poolId, replica: replicaId } = config.llamacpp;
  if (url !== undefined) found.push({ poolId, replicaId, engine: "llamacpp", url });
  return found;
}

export function watchExternal(options: ExternalOptions): ExternalWatch {
  const watches = options.replicas.map((replica) => watch(replica, options));
  return {
    doubt(poolId, replicaId) {
      const key = keyOf(poolId, replicaId);
      for (const each of watches) if (each.key === key) each.look();
    },
    async close() {
      await Promise.all(watches.map((each) => each.close()));
    },
  };
}

const keyOf = (poolId: string, replicaId: string): string => `${poolId}/${replicaId}`;

function watch(replica: ExternalReplica, options: ExternalOptions): Watch {
  const { poolId, replicaId, engine, url } = replica;
  const key = keyOf(poolId, replicaId);
  try {
    return watchOver(key, replica, options.bind(replica), options);
  } catch (error) {
    // One pool that cannot be served here keeps no other from being served.
    const lastError = error instanceof Error ? error.message : String(error);
    const epoch = options.clock.nowMs();
    options.announce({ poolId, replicaId, engine, phase: "failed", epoch, url, lastError });
    return { key, look: () => {}, close: async () => {} };
  }
}

function watchOver(
  key: string,
  replica: ExternalReplica,
  adapter: Adapter,
  { announce, clock, pollMs }: ExternalOptions,
): Watch {
  const closing = new AbortController();
  let epoch = clock.nowMs();
  let phase: ReplicaPhase | undefined;
  let misses = 0;
  let isLooking = false;
  let isDoubted = false;
  let timer: Timer | undefined;

  const tell = (next: ReplicaPhase, error?: string): void => {
    if (next === phase) return;
    if (next === "ready" && phase !== undefined) epoch = Math.max(epoch + 1, clock.nowMs());
    phase = next;
    announce(announcementOf(replica, next, epoch, error));
  };

  const look = async (): Promise<void> => {
    if (isLooking || closing.signal.aborted) return;
    isLooking = true;
    timer?.cancel();
    const suspects = isDoubted;
    isDoubted = false;
    const { live, ready, error } = await adapter.health(
      AbortSignal.any([closing.signal, AbortSignal.timeout(askMs)]),
    );
    isLooking = false;
    if (closing.signal.aborted) return;
    misses = live ? 0 : suspects ? missesMax : misses + 1;
    if (ready) tell("ready");
    else if (live) tell("loading");
    else if (phase === undefined || misses >= missesMax) tell("backing_off", error);
    // What was asked before the doubt came says nothing about it.
    if (isDoubted) void look();
    else timer = clock.after(pollMs, () => void look());
  };
  void look();

  return {
    key,
    look() {
      isDoubted = true;
      void look();
    },
    async close() {
      closing.abort();
      timer?.cancel();
      await adapter.close();
    },
  };
}

function announcementOf(
  { poolId, replicaId, engine, url, apiKey }: ExternalReplica,
  phase: ReplicaPhase,
  epoch: number,
  error: string | undefined,
): ReplicaAnnouncement {
  const said = error === undefined ? "" : ` ${error}`;
  const lastError = `The engine at ${new URL(url).origin} does not answer.${said}`;
  return {
    poolId,
    replicaId,
    engine,
    phase,
    epoch,
    url,
    ...(apiKey !== undefined && { apiKey }),
    ...(phase === "backing_off" && { lastError, fault: "crash" }),
  };
}
