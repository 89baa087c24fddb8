// The calls to an engine that had to be made again, in the log: a line for each, with the pause before it.

import type { EngineAddress, Retry } from "@llama-orch/engines/adapter";
import type { Log } from "./log.ts";

export function retryTeller(log: Log, { engine, url }: EngineAddress): (retry: Retry) => void {
  // The rest of an address may hold a password.
  const { origin } = new URL(url);
  return ({ call, retry, waitMs, why }) => {
    const backoff_ms = Math.round(waitMs);
    const reason = typeof why === "number" ? `it answered ${why}` : (failures[why] ?? why);
    log.write("warn", "engine_call_retried", {
      human: `Asks the engine at ${origin} again in ${backoff_ms} ms: ${reason}.`,
      engine,
      backoff_ms,
      error_kind: String(why),
      details: { call, retry, url: origin },
    });
  };
}

const failures: Partial<Record<Retry["why"], string>> = {
  refused: "nobody listens there",
  unreachable: "there is no way there",
  reset: "the connection broke",
  connect_timeout: "the connection was not made in time",
};
