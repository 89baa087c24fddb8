// The door by which `llorch up` runs engines in its own process.

export { provisionLlamacpp } from "@llama-orch/engines/provision";
export { LogFile } from "./log-file.ts";
export * from "./replicas.ts";
export type { Clock } from "./supervise/clock.ts";
export type { Log, LogLine } from "./supervise/log.ts";
export type { ReloadResult } from "./supervise/pool.ts";
export type { SupervisionTimes } from "./supervise/surroundings.ts";
