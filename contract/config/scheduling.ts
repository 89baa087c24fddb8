// Waiting and its order, per pool: how much may wait, what a full queue does, who goes first, what may be
// displaced, and how long an attempt may take.

import Type from "typebox";
import { TenantId } from "../ids.ts";
import { type FullPolicy, PreemptionMode, Priority } from "../words.ts";
import { bytes, closed, derived, ms, optional, positive, required, section, setting } from "./setting.ts";

/** `reject-new` is an old spelling; the resolved configuration has `reject`. */
const WrittenFullPolicy = Type.Unsafe<FullPolicy>(
  Type.Enum(["reject", "drop-lru", "shed-low-priority", "reject-new"]),
);

export const Queue = section(
  {
    capacity: setting(positive(10_000), 100, "How many of this pool's tasks may wait."),
    full_policy: setting(
      WrittenFullPolicy,
      "reject",
      "What a full queue does with a newcomer; reject-new is read as reject.",
    ),
    max_queued_tokens: optional(
      positive(1_000_000_000),
      "Expected output tokens that may wait; a single task above it is refused.",
    ),
    max_body_bytes: setting(
      bytes(),
      256 * 2 ** 20,
      "Bytes of prompts that may wait; beyond it callers get 429.",
    ),
  },
  "The room for waiting tasks.",
);

/** Weights of a class when nobody says otherwise. */
export const classWeights = { interactive: 8, batch: 1 } as const satisfies Record<Priority, number>;

const ClassSettings = closed({
  name: required(Priority, "The class these numbers are for."),
  queue_capacity: optional(
    positive(10_000),
    "How many tasks of the class may wait, within the queue's capacity.",
  ),
  rate_limit_rps: optional(
    positive(1_000_000),
    "Requests per second of one client; twice as many may come at once.",
  ),
  weight: derived(
    positive(1_000_000),
    "interactive 8, batch 1",
    "The share of the class when classes compete.",
  ),
});

const TenantShare = closed({
  id: required(TenantId, "The tenant these numbers are for."),
  weight: setting(positive(1_000_000), 1, "The share of the tenant when tenants compete."),
  max_concurrent: optional(positive(1_000_000), "Live tasks of the tenant."),
  rps: optional(positive(1_000_000), "Requests per second of the tenant."),
  max_memory_bytes: optional(bytes(), "KV cache and scratch memory that the tenant's live tasks may use."),
});

export const Admission = section(
  {
    priorities: derived(
      Type.Array(ClassSettings, { maxItems: Priority.enum.length }),
      "both classes with their weights",
      "Numbers per priority class.",
    ),
    fairness: section(
      {
        kind: setting(Type.Literal("wfq"), "wfq", "Weighted fair queuing is the only kind."),
        tenants: setting(
          Type.Array(TenantShare, { maxItems: 10_000 }),
          [],
          "Numbers per tenant; others weigh 1.",
        ),
      },
      "How tenants share the pool.",
    ),
  },
  "Shares and limits of classes and tenants.",
);

export const Scheduling = section(
  {
    policy: setting(
      Type.Enum(["weighted", "strict"]),
      "weighted",
      "weighted shares by weight; strict always serves the higher class first.",
    ),
    edf: setting(Type.Boolean(), false, "Serves the earliest deadline first inside a class of one tenant."),
  },
  "The order of waiting tasks.",
);

export const Preemption = section(
  {
    mode: setting(
      PreemptionMode,
      "disabled",
      "soft displaces a waiting task of a lower class, hard stops a running one and resumes it later.",
    ),
    hard_requirements: section(
      {
        engine_capability: setting(
          Type.Literal("interruptible_decode"),
          "interruptible_decode",
          "What an engine must be able to do before hard preemption touches it.",
        ),
        max_preemptions_per_min: setting(
          positive(10_000),
          10,
          "Hard preemptions of this pool in a sliding minute.",
        ),
        protect_priorities: setting(
          Type.Array(Priority, { uniqueItems: true }),
          ["interactive"],
          "Classes that are never preempted.",
        ),
      },
      "The bounds of hard preemption.",
    ),
  },
  "Whether urgent work may displace other work.",
);

const dayMs = 86_400_000;

export const Timeouts = section(
  {
    wall_ms: optional(ms(1, 7 * dayMs), "Engine time of one attempt; no limit when absent."),
    idle_ms: setting(
      ms(1, dayMs),
      5000,
      "Silence between two tokens after which the attempt counts as lost.",
    ),
    first_token_ms: optional(
      ms(1, dayMs),
      "Wait for the first token; when absent, 30 s or three times the prediction.",
    ),
  },
  "Watchdogs of one attempt.",
);
