// The door of the core: the one that decides, and the words it is spoken to in.

export { spentBy } from "./admission/budget.ts";
export * from "./attempts/watchdog.ts";
export * from "./effects.ts";
export * from "./events.ts";
export type {
  SentTo,
  SessionFacts,
  Survived,
  SurvivingReplica,
  SurvivingTask,
  TaskFacts,
  TenantFacts,
} from "./facts.ts";
export { Orchestrator, type ProgressView, type WaitingView } from "./orchestrator.ts";
export * from "./outcome.ts";
export * from "./settings.ts";
export type { Snapshot } from "./snapshot.ts";
export type { Reservation, Spent } from "./state.ts";
