// What a session and a tenant may spend, and for how long the daemon remembers.

import Type from "typebox";
import { TenantId } from "../ids.ts";
import { bytes, closed, ms, optional, positive, required, section, setting } from "./setting.ts";

const dayMs = 86_400_000;

const Budgets = closed({
  tokens: optional(positive(Number.MAX_SAFE_INTEGER), "Output tokens."),
  time_ms: optional(positive(Number.MAX_SAFE_INTEGER), "Engine time."),
  cost: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1e12 }), "Cost, in the unit of cost_per_token."),
});

export const Session = section(
  {
    ttl_ms: setting(ms(1000, 30 * dayMs), 600_000, "Time without a task after which a session ends."),
    max_turns: setting(positive(1_000_000), 8, "Tasks one session may send."),
    max_live: setting(positive(10_000_000), 100_000, "Live sessions; beyond it the oldest idle one goes."),
    budgets: setting(Budgets, {}, "What one session may spend; a budget that is not set is not enforced."),
    cost_per_token: setting(
      Type.Number({ minimum: 0, maximum: 1e6 }),
      0.000002,
      "The price of one output token.",
    ),
  },
  "Limits of sessions.",
);

export const Tenant = closed({
  id: required(TenantId, "The tenant."),
  budgets: required(Budgets, "What the tenant may spend; it survives deleted sessions and restarts."),
});

export const Journal = section(
  {
    max_bytes: setting(
      bytes(0),
      256 * 2 ** 20,
      "Room for the journal of decisions; beyond it the oldest go, and 0 keeps none.",
    ),
  },
  "What was decided and why, for llorch replay.",
);

export const Store = section(
  {
    reserve_bytes: setting(
      bytes(0),
      64 * 2 ** 20,
      "Room on the disk that is held for the ends of admitted tasks; without it nothing is admitted.",
    ),
  },
  "What must survive the daemon.",
);

export const Retention = section(
  {
    transcripts_ms: setting(ms(0, 365 * dayMs), dayMs, "How long transcripts are kept."),
    transcripts_bytes: setting(bytes(0), 2 ** 30, "Room for transcripts; beyond it the oldest go."),
    uploads_bytes: setting(
      bytes(0),
      10 * 2 ** 30,
      "Room for artifacts that callers store; beyond it they get 507.",
    ),
    streams_ms: setting(ms(0, dayMs), 600_000, "How long a finished stream is served again."),
    idempotency_ms: setting(
      ms(0, 30 * dayMs),
      dayMs,
      "How long a finished task_id still gets its first answer.",
    ),
    ended_tasks: setting(
      Type.Integer({ minimum: 1000, maximum: Number.MAX_SAFE_INTEGER }),
      1_000_000,
      "How many ended tasks are remembered; beyond it the longest ended go.",
    ),
  },
  "What is kept, and for how long.",
);
