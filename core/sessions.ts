// Sessions: how long they live, how many turns they take, what they have spent, and where they ran last.
// Metadata only. Idle ones are also kept in the order in which they became idle, since they are the ones that
// may go.

import type { SessionInfo } from "@llama-orch/contract";
import { limits } from "./limits.ts";
import type { Core, Session, State } from "./state.ts";

export const sessionTimer = "sessions";

export function sessionKey(tenantId: string, sessionId: string): string {
  return `${tenantId}/${sessionId}`;
}

/** The live session, or undefined where it never was, has expired or was deleted. */
export function findSession(state: State, nowMs: number, key: string): Session | undefined {
  const session = state.sessions.get(key);
  return session === undefined || isExpired(session, nowMs) ? undefined : session;
}

/** A session with work in hand does not expire under it. */
function isExpired(session: Session, nowMs: number): boolean {
  return session.live === 0 && session.expiresAtMs <= nowMs;
}

/** Counts one turn; the time to live starts again. */
export function takeTurn(core: Core, key: string): Session {
  const { state, nowMs } = core;
  sweepSessions(state, nowMs);
  const session = findSession(state, nowMs, key) ?? newSession(key, state.ordinal);
  state.idleSessions.delete(key);
  if (!state.sessions.has(key) && state.sessions.size >= state.settings.session.liveMax) forgetIdlest(state);
  session.turns++;
  session.live++;
  session.expiresAtMs = nowMs + state.settings.session.ttlMs;
  state.sessions.set(key, session);
  if (!state.sessionSweep) {
    state.sessionSweep = true;
    core.emit({ type: "SetTimer", timer: sessionTimer, atMs: nowMs + limits.sessionSweepMs });
  }
  return session;
}

/** A task of the session has ended. */
export function leaveSession(state: State, session: Session): void {
  session.live--;
  if (session.live === 0) state.idleSessions.set(session.key, session);
}

export function deleteSession(state: State, key: string): void {
  state.sessions.delete(key);
  state.idleSessions.delete(key);
}

/** Its cache went with the process it was in. */
export function coolSessions(state: State, replicaKey: string): void {
  for (const session of state.sessions.values()) {
    if (session.lastReplica === replicaKey) session.kvWarm = false;
  }
}

/** The periodic tick: forgets what has expired, and itself when nothing is left. */
export function tickSessions(core: Core): void {
  for (const [key, session] of core.state.idleSessions.entries()) {
    if (isExpired(session, core.nowMs)) deleteSession(core.state, key);
  }
  core.state.sessionSweep = core.state.sessions.size > 0;
  if (!core.state.sessionSweep) return;
  core.emit({ type: "SetTimer", timer: sessionTimer, atMs: core.nowMs + limits.sessionSweepMs });
}

/** From who has been idle for longest to the first that is still alive; the tick sees to the rest. */
export function sweepSessions(state: State, nowMs: number): void {
  for (let idle = state.idleSessions.oldest(); idle !== undefined; idle = state.idleSessions.oldest()) {
    const session = state.idleSessions.get(idle) as Session;
    if (session.expiresAtMs > nowMs) return;
    deleteSession(state, idle);
  }
}

function forgetIdlest(state: State): void {
  const idlest = state.idleSessions.oldest();
  if (idlest !== undefined) deleteSession(state, idlest);
}

function newSession(key: string, serial: number): Session {
  const nothing = () => ({ tokens: 0, timeMs: 0, cost: 0 });
  return {
    key,
    serial,
    expiresAtMs: 0,
    turns: 0,
    live: 0,
    kvWarm: false,
    lastReplica: undefined,
    spent: nothing(),
    reserved: nothing(),
  };
}

/** What a client may know; an unknown session answers the defaults and is not created. */
export function sessionInfo(state: State, nowMs: number, tenantId: string, sessionId: string): SessionInfo {
  const { budgets, ttlMs } = state.settings.session;
  const session = findSession(state, nowMs, sessionKey(tenantId, sessionId));
  const left = (limit: number | undefined, of: "tokens" | "timeMs" | "cost", unset: number) =>
    limit === undefined
      ? unset
      : Math.max(0, limit - (session?.spent[of] ?? 0) - (session?.reserved[of] ?? 0));
  const ttl = session === undefined ? ttlMs : Math.max(0, session.expiresAtMs - nowMs);
  return {
    ttl_ms_remaining: ttl,
    turns: session?.turns ?? 0,
    kv_bytes: 0,
    kv_warmth: session?.kvWarm ?? false,
    tokens_budget_remaining: left(budgets.tokens, "tokens", 0),
    time_budget_remaining_ms: left(budgets.timeMs, "timeMs", ttl),
    cost_budget_remaining: left(budgets.cost, "cost", 0),
    budgets_enforced: {
      tokens: budgets.tokens !== undefined,
      time: budgets.timeMs !== undefined,
      cost: budgets.cost !== undefined,
    },
  };
}
