// Sessions: how long they live, how many turns they take, what they have spent, and where they ran last.
// Metadata only. Idle ones are also kept in the order in which they became idle, since they are the ones that
// may go.

import type { SessionInfo } from "@llama-orch/contract";
import { limits } from "./limits.ts";
import type { Core, Live, Session, State } from "./state.ts";

export const sessionTimer = "sessions";

export function sessionKey(tenantId: string, sessionId: string): string {
  return `${tenantId}/${sessionId}`;
}

/** A task names its session so. */
export interface SessionName {
  readonly tenantId: string;
  readonly sessionId: string;
}

/** The live session, or undefined where it never was, has expired or was deleted. */
export function findSession(
  state: State,
  nowMs: number,
  { tenantId, sessionId }: SessionName,
): Session | undefined {
  const session = state.sessions.get(tenantId, sessionId);
  return session === undefined || isExpired(session, nowMs) ? undefined : session;
}

/** A session with work in hand does not expire under it. */
function isExpired(session: Session, nowMs: number): boolean {
  return session.live === 0 && session.expiresAtMs <= nowMs;
}

/** Counts one turn of the session that was found, or of a new one; the time to live starts again. */
export function takeTurn(core: Core, name: SessionName, found: Session | undefined): Session {
  const { state, nowMs } = core;
  sweepSessions(state, nowMs);
  // Making room for the task may have ended the last turn that kept an old session alive.
  const alive = found !== undefined && !found.deleted && !isExpired(found, nowMs);
  const session = alive ? found : beginSession(state, name);
  if (session.live === 0) state.idleSessions.delete(session.key);
  session.turns++;
  session.live++;
  session.expiresAtMs = nowMs + state.settings.session.ttlMs;
  watchSessions(core);
  return session;
}

export function watchSessions(core: Core): void {
  if (core.state.sessionSweep) return;
  core.state.sessionSweep = true;
  core.emit({ type: "SetTimer", timer: sessionTimer, atMs: core.nowMs + limits.sessionSweepMs });
}

/** What never became safe was no turn. */
export function withdrawTurn(state: State, session: Session): void {
  session.turns--;
  if (session.turns === 0) deleteSession(state, session);
}

/** A task of the session has ended. */
export function leaveSession(state: State, session: Session): void {
  session.live--;
  if (session.live === 0) state.idleSessions.set(session.key, session);
}

/** The session a task is a turn of; one that was deleted owes the task nothing and is owed nothing by it. */
export function heldSession({ session }: Live): Session | undefined {
  return session === undefined || session.deleted ? undefined : session;
}

export function deleteSession(state: State, session: Session): void {
  session.deleted = true;
  state.sessions.delete(session.tenantId, session.sessionId);
  state.idleSessions.delete(session.key);
}

/** Its cache went with the process it was in. */
export function coolSessions(state: State, replicaKey: string): void {
  for (const session of state.sessions.values()) {
    if (session.lastReplica === replicaKey) session.kvWarm = false;
  }
}

/** The periodic tick: forgets what has expired, and itself when nothing is left. */
export function tickSessions(core: Core): void {
  for (const [, session] of core.state.idleSessions.entries()) {
    if (isExpired(session, core.nowMs)) deleteSession(core.state, session);
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
    deleteSession(state, session);
  }
}

function forgetIdlest(state: State): void {
  const idlest = state.idleSessions.oldest();
  if (idlest !== undefined) deleteSession(state, state.idleSessions.get(idlest) as Session);
}

/** Bounded memory holds for what comes back, too. */
export function forgetBeyond(state: State, liveMax: number): void {
  while (state.sessions.size > liveMax && state.idleSessions.size > 0) forgetIdlest(state);
}

/** In place of one of the same name that has expired. */
function beginSession(state: State, { tenantId, sessionId }: SessionName): Session {
  const expired = state.sessions.get(tenantId, sessionId);
  if (expired !== undefined) deleteSession(state, expired);
  else if (state.sessions.size >= state.settings.session.liveMax) forgetIdlest(state);
  const session = newSession({ tenantId, sessionId }, state.ordinal);
  state.sessions.set(tenantId, sessionId, session);
  return session;
}

export function newSession({ tenantId, sessionId }: SessionName, serial: number): Session {
  const nothing = () => ({ tokens: 0, timeMs: 0, cost: 0 });
  return {
    tenantId,
    sessionId,
    key: sessionKey(tenantId, sessionId),
    serial,
    deleted: false,
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
  const session = findSession(state, nowMs, { tenantId, sessionId });
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
    // No state of an engine ever moves to another one.
    kv_migrated: false,
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
