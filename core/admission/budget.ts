// Budgets of sessions and tenants. The worst case is reserved when a task is accepted and settled when it
// ends, so that no number of tasks at once can spend more than the limit.

import type { Task } from "@llama-orch/contract";
import type { BudgetView } from "../effects.ts";
import type { Refusal } from "../outcome.ts";
import type { Budgets } from "../settings.ts";
import type { Live, Pool, Reservation, Session, Spent, State, Tenant } from "../state.ts";
import { refuse } from "./refusal.ts";

/**
 * What a task may spend at most, on whichever of the pools: budgets are checked before one is chosen, and a
 * task that waits may still run in another one than it was admitted to.
 */
export function reservationOf(state: State, task: Task, pools: readonly Pool[]): Reservation {
  let longestMs = pools.length === 0 ? Infinity : 0;
  for (const { settings } of pools) longestMs = Math.max(longestMs, settings.timeouts.wallMs ?? Infinity);
  return {
    tokens: task.maxTokens,
    timeMs: Math.min(longestMs, task.deadlineMs),
    cost: task.maxTokens * state.settings.session.costPerToken,
  };
}

export function checkBudgets(
  state: State,
  wish: Reservation,
  session: Session | undefined,
  tenant: Tenant,
): Refusal | undefined {
  const short =
    missing(state.settings.session.budgets, session, wish, "session") ??
    missing(state.settings.tenantBudgets[tenant.id] ?? {}, tenant, wish, "tenant");
  return short === undefined ? undefined : refuse("INVALID_PARAMS", short, { policy_label: "budget" });
}

type Account = { readonly spent: Spent; readonly reserved: Spent };

const kinds = ["tokens", "timeMs", "cost"] as const;
const words = { tokens: "tokens", timeMs: "ms of engine time", cost: "cost" };

function missing(
  budgets: Budgets,
  account: Account | undefined,
  wish: Reservation,
  whose: string,
): string | undefined {
  const { tokens, timeMs, cost } = budgets;
  if (tokens === undefined && timeMs === undefined && cost === undefined) return undefined;
  for (const kind of kinds) {
    const limit = budgets[kind];
    if (limit === undefined) continue;
    const left = limit - (account?.spent[kind] ?? 0) - (account?.reserved[kind] ?? 0);
    if (wish[kind] <= left) continue;
    const field = kind === "timeMs" ? "deadline_ms" : "max_tokens";
    return `${field}: the ${whose}'s budget has ${left} ${words[kind]} left and the task may need ${wish[kind]}.`;
  }
  return undefined;
}

export function reserve(wish: Reservation, accounts: readonly Account[]): void {
  for (const { reserved } of accounts) {
    reserved.tokens += wish.tokens;
    reserved.timeMs += wish.timeMs;
    reserved.cost += wish.cost;
  }
}

/** What was really delivered, never more than was reserved. */
export function spentBy(
  { reserved, tokensOut, decodeMs }: Pick<Live, "reserved" | "tokensOut" | "decodeMs">,
  costPerToken: number,
): Spent {
  const tokens = Math.min(tokensOut, reserved.tokens);
  const timeMs = Math.min(decodeMs, reserved.timeMs);
  return { tokens, timeMs, cost: Math.min(tokens * costPerToken, reserved.cost) };
}

/** Gives the reservation back and books what was really delivered, never more than was reserved. */
export function settle(live: Live, costPerToken: number, accounts: readonly Account[]): void {
  const { tokens, timeMs, cost } = spentBy(live, costPerToken);
  for (const { spent, reserved } of accounts) {
    reserved.tokens -= live.reserved.tokens;
    reserved.timeMs -= live.reserved.timeMs;
    reserved.cost -= live.reserved.cost;
    spent.tokens += tokens;
    spent.timeMs += timeMs;
    spent.cost += cost;
  }
}

/** limit − spent − reserved of the session; a budget that is not set shows 0, and time its time to live. */
export function budgetView(state: State, nowMs: number, session: Session | undefined): BudgetView {
  const { budgets, ttlMs } = state.settings.session;
  const { spent, reserved } = session ?? untouched;
  const ttl = session === undefined ? ttlMs : Math.max(0, session.expiresAtMs - nowMs);
  return {
    tokens: left(budgets.tokens, spent.tokens, reserved.tokens, 0),
    timeMs: left(budgets.timeMs, spent.timeMs, reserved.timeMs, ttl),
    cost: left(budgets.cost, spent.cost, reserved.cost, 0),
  };
}

const nothing: Spent = { tokens: 0, timeMs: 0, cost: 0 };
const untouched: Account = { spent: nothing, reserved: nothing };

function left(limit: number | undefined, spent: number, reserved: number, unset: number): number {
  return limit === undefined ? unset : Math.max(0, limit - spent - reserved);
}
