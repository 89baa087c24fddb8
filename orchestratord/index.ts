// The door of the control plane daemon, for the one command that starts it inside its own process.

export { readConfigFile } from "./config-file.ts";
export { DirectoryTaken } from "./data-directory.ts";
export type { ModelSwapper, SwapResult } from "./reloads.ts";
export { type RunningOrchestratord, type StartOptions, startOrchestratord } from "./start.ts";
export { startFailure, usageExitCode } from "./start-failure.ts";
