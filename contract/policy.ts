// What a sandboxed policy sees and what it may answer. The snapshot holds facts about a request, never its
// text; the decision is recorded in the event that it influenced, so that a replay needs no sandbox.

import Type, { type Static } from "typebox";
import { count } from "./number.ts";
import { parser } from "./parse.ts";

const open = Type.Record(Type.String(), Type.Unknown());

/** major * 1000 + minor; a module with another major is not loaded. */
export const policyAbiVersion = 1000;

export const PolicySnapshot = Type.Object(
  {
    version: Type.Literal(1),
    kind: Type.Enum(["admission", "placement", "session", "fetch"]),
    now_ms: count,
    request: open,
    tenant: open,
    session: open,
    pools: Type.Array(open),
    queue: open,
  },
  { title: "PolicySnapshot" },
);
export type PolicySnapshot = Static<typeof PolicySnapshot>;

export const PolicyDecision = Type.Object(
  {
    version: Type.Literal(1),
    kind: Type.Enum(["admit", "reject", "place", "evict_session", "allow_fetch"]),
    reason: Type.Optional(Type.String({ maxLength: 1024 })),
    pool_id: Type.Optional(Type.String()),
  },
  { title: "PolicyDecision" },
);
export type PolicyDecision = Static<typeof PolicyDecision>;
export const parsePolicyDecision = parser(PolicyDecision);
