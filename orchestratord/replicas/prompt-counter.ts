// How long a prompt is. A tokenizer never makes more tokens than bytes, so a prompt that fits by its bytes
// needs no counting; only where that does not settle it the engine is asked, and not for long.

import type { Task, TaskBody } from "@llama-orch/contract";
import type { Orchestrator } from "@llama-orch/core";
import type { Directory } from "./directory.ts";

export interface PromptSize {
  /** Of several inputs those of the longest, behind the query: each has a context to itself. */
  readonly promptBytes: number;
  /** As the engine counts; absent where that made no difference, or where no engine answered. */
  readonly promptTokens?: number;
  /**
   * Of several inputs what all of them are to the engine, each behind the query: at most, by their bytes, or
   * as dense as the longest where that was counted. Absent where there is but one.
   */
  readonly allTokens?: number;
}

export interface PromptCounter {
  measure(task: Task, body: TaskBody): Promise<PromptSize>;
}

/** Longer than this nobody waits for a count; the core says what then. */
const countMs = 200;

/** What begin-of-text and end-of-text may add to the bytes of a prompt. */
const tokensOverBytes = 2;

/** What a chat template may write around one message, and around all of them. */
const templateBytes = { message: 64, whole: 256 };

export function promptCounter(core: Orchestrator, directory: Directory): PromptCounter {
  return {
    async measure(task, body) {
      const beside = bytesBeside(body);
      const inputs = (body.inputs ?? [""]).map((input) => beside + Buffer.byteLength(input));
      const promptBytes = inputs.reduce((longest, bytes) => Math.max(longest, bytes), beside);
      const most = promptBytes + tokensOverBytes;
      const fits = most + task.maxTokens <= ctxOf(core, task);
      const promptTokens = fits ? undefined : await count(core, directory, task, body);
      const together = inputs.reduce((sum, bytes) => sum + bytes + tokensOverBytes, 0);
      return {
        promptBytes,
        ...(promptTokens !== undefined && { promptTokens }),
        ...(inputs.length > 1 && { allTokens: Math.ceil(((promptTokens ?? most) * together) / most) }),
      };
    },
  };
}

async function count(core: Orchestrator, directory: Directory, task: Task, body: TaskBody) {
  for (const pool of core.state.pools.values()) {
    if (pool.modelRef !== task.modelRef || pool.settings.engine !== task.engine) continue;
    const replica = directory.anyOf(pool.id);
    if (replica === undefined) continue;
    try {
      return await replica.adapter.countTokens(body, AbortSignal.timeout(countMs));
    } catch {
      // Without a count the core tells the client to come again.
      return undefined;
    }
  }
  return undefined;
}

/** The widest context that may take the task; where nobody serves the model, the core says so. */
function ctxOf(core: Orchestrator, task: Task): number {
  let widest = 0;
  for (const pool of core.state.pools.values()) {
    if (pool.modelRef !== task.modelRef || pool.settings.engine !== task.engine) continue;
    for (const { facts } of pool.replicas.values()) widest = Math.max(widest, facts.ctxMax);
  }
  if (widest === 0) return Number.POSITIVE_INFINITY;
  return task.ctx === 0 ? widest : Math.min(task.ctx, widest);
}

/** All that stands beside an input, or for itself. */
function bytesBeside({ prompt, messages, query }: TaskBody): number {
  let bytes = prompt === undefined ? 0 : Buffer.byteLength(prompt);
  if (query !== undefined) bytes += Buffer.byteLength(query);
  if (messages === undefined) return bytes;
  bytes += templateBytes.whole;
  for (const { role, content } of messages) {
    bytes += Buffer.byteLength(role) + Buffer.byteLength(content) + templateBytes.message;
  }
  return bytes;
}
