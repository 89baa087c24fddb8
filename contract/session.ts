// What a client may know about its session: how long it lives and what is left of its budgets. Metadata only;
// no prompt or output is ever kept here.

import Type, { type Static } from "typebox";
import { count } from "./number.ts";

/**
 * A budget that is not configured shows 0 (time: the TTL) and blocks nothing; `budgets_enforced` tells which.
 */
export const SessionInfo = Type.Object(
  {
    ttl_ms_remaining: count,
    turns: count,
    kv_bytes: count,
    kv_warmth: Type.Boolean(),
    tokens_budget_remaining: count,
    time_budget_remaining_ms: count,
    cost_budget_remaining: Type.Number({ minimum: 0 }),
    kv_migrated: Type.Optional(Type.Boolean()),
    budgets_enforced: Type.Object({ tokens: Type.Boolean(), time: Type.Boolean(), cost: Type.Boolean() }),
  },
  { title: "SessionInfo" },
);
export type SessionInfo = Static<typeof SessionInfo>;
