// The door of the SDK. Errors a caller may see: OrchError for what the server says, UnreachableError for a
// server that stays away, UnexpectedReplyError for one that is none of ours.

export { OrchError } from "@llama-orch/contract";
export type { CallOptions } from "./answer.ts";
export { type Client, type ClientOptions, createClient } from "./client.ts";
export { UnexpectedReplyError, UnreachableError } from "./faults.ts";
export type { Frame } from "./frames.ts";
export type { Retry, RetrySettings } from "./retry.ts";
export type { Run, RunOptions, RunRequest } from "./run.ts";
export type { StreamOptions } from "./stream.ts";
