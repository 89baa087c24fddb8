// Checks of a request against what its model can hold and do, before anything is counted.

import type { TaskSubmitted } from "../events.ts";
import { limits } from "../limits.ts";
import type { Refusal } from "../outcome.ts";
import type { Model, Pool, Session, State } from "../state.ts";
import { refuse } from "./refusal.ts";

/** The tokens the prompt may have: counted ones where the engine counted, else the bound by its bytes. */
export function promptTokensOf(event: TaskSubmitted): number {
  return event.promptTokens ?? event.promptBytes + limits.tokensOverBytes;
}

/** Prompt and output must fit the context; nothing is ever cut off silently. */
export function guardTokens(event: TaskSubmitted, pools: readonly Pool[], ctxOf: (pool: Pool) => number) {
  const { task } = event;
  const ctxMax = most(pools, ctxOf, limits.ctxDefault);
  const outMax = most(pools, ({ settings }) => settings.maxTokensOut, Infinity);
  if (task.ctx > ctxMax) {
    return refuse("INVALID_PARAMS", `ctx: given ${task.ctx}; the model holds at most ${ctxMax} tokens.`);
  }
  if (task.maxTokens > outMax) {
    return refuse("INVALID_PARAMS", `max_tokens: given ${task.maxTokens}; at most ${outMax} are allowed.`);
  }
  const ctx = task.ctx === 0 ? ctxMax : task.ctx;
  if (promptTokensOf(event) + task.maxTokens <= ctx) return undefined;
  if (event.promptTokens === undefined && event.promptBytes > 0) {
    const message =
      "The prompt must be counted by its engine, which does not answer now. Send the task again.";
    return refuse("POOL_UNREADY", message, { retry_after_ms: 1000 });
  }
  return refuse(
    "INVALID_PARAMS",
    `max_tokens: ${promptTokensOf(event)} prompt tokens and max_tokens ${task.maxTokens} exceed ctx ${ctx}.`,
  );
}

function most(pools: readonly Pool[], of: (pool: Pool) => number, otherwise: number): number {
  let value = -Infinity;
  for (const pool of pools) value = Math.max(value, of(pool));
  return pools.length === 0 ? otherwise : value;
}

/** A model that is retired, deprecated or not trusted takes no new work. */
export function guardModel(
  { task }: TaskSubmitted,
  model: Model | undefined,
  session: Session | undefined,
): Refusal | undefined {
  if (model === undefined) return undefined;
  if (model.untrusted !== undefined) {
    const message = `The model ${task.modelRef} did not pass the trust policy: ${model.untrusted}.`;
    return refuse("UNTRUSTED_ARTIFACT", message, { reason: model.untrusted });
  }
  if (model.state === "Deprecated" && !task.override && session === undefined) {
    const message = `The model ${task.modelRef} takes no new sessions; set override to true to use it still.`;
    return refuse("MODEL_DEPRECATED", message);
  }
  if (model.state === "Retired" || model.state === "Draft") {
    const message = `The model ${task.modelRef} is ${model.state.toLowerCase()} and serves no tasks.`;
    return refuse("POOL_UNAVAILABLE", message, { policy_label: "retry" });
  }
  return undefined;
}

/** Strict where no pool of the model is strict cannot be promised. */
export function guardDeterminism({ task }: TaskSubmitted, pools: readonly Pool[]): Refusal | undefined {
  if (task.determinism !== "strict" || pools.length === 0) return undefined;
  if (pools.some((pool) => pool.settings.determinism === "strict")) return undefined;
  const message =
    "determinism: no pool of this model is strict; configure one with determinism: strict and one slot, " +
    "or the embedded engine, or ask for best_effort.";
  return refuse("INVALID_PARAMS", message);
}

export function guardPin({ task }: TaskSubmitted, state: State): Refusal | undefined {
  const { mode, pinPoolId } = task.placement;
  if (mode !== "pin") return undefined;
  if (!state.settings.placement.allowPin) {
    return refuse("INVALID_PARAMS", "placement.mode: pinning is switched off here (placement.allow_pin).");
  }
  const pool = pinPoolId === undefined ? undefined : state.pools.get(pinPoolId);
  if (pool === undefined) {
    return refuse(
      "INVALID_PARAMS",
      `placement.pin_pool_id: there is no pool ${pinPoolId ?? "without a name"}.`,
    );
  }
  if (pool.settings.engine === task.engine) return undefined;
  const message = `placement.pin_pool_id: pool ${pool.id} runs ${pool.settings.engine}, not ${task.engine}.`;
  return refuse("INVALID_PARAMS", message);
}
