// The calls to an engine that had to be made again, in the log. The first call of a series is told in full, a
// line for each retry with the pause before it; while the same call goes on to fail for the same reason, one
// line a minute says how many were left out.

import type { EngineAddress, Retry } from "@llama-orch/engines/adapter";
import type { Log } from "./log.ts";

/** The same call, made again for the same reason, without a minute between. */
interface Series {
  toldAtMs: number;
  seenAtMs: number;
  /** The last that was told of the first call; 0 when that call is over. */
  told: number;
  leftOut: number;
}

const everyMs = 60_000;

export function retryTeller(
  log: Log,
  { engine, url }: EngineAddress,
  nowMs: () => number,
): (retry: Retry) => void {
  // The rest of an address may hold a password.
  const { origin } = new URL(url);
  // By call and reason, of which an engine has a few.
  const known = new Map<string, Series>();
  return ({ call, retry, waitMs, why }) => {
    const leftOut = countedIn(known, `${call} ${why}`, retry, nowMs());
    if (leftOut === undefined) return;
    const backoff_ms = Math.round(waitMs);
    const reason = typeof why === "number" ? `it answered ${why}` : (failures[why] ?? why);
    const besides = leftOut === 0 ? "" : ` So it was ${leftOut} more times since this was last said.`;
    log.write("warn", "engine_call_retried", {
      human: `Asks the engine at ${origin} again in ${backoff_ms} ms: ${reason}.${besides}`,
      engine,
      backoff_ms,
      error_kind: String(why),
      details: { call, retry, url: origin, ...(leftOut > 0 && { left_out: leftOut }) },
    });
  };
}

/** How many were left out before this retry; undefined where it is left out itself. */
function countedIn(known: Map<string, Series>, key: string, retry: number, now: number): number | undefined {
  const series = known.get(key);
  if (series === undefined || now - series.seenAtMs >= everyMs) {
    known.set(key, { toldAtMs: now, seenAtMs: now, told: retry, leftOut: 0 });
    return series?.leftOut ?? 0;
  }
  series.seenAtMs = now;
  const isOfFirst = series.told > 0 && retry === series.told + 1;
  series.told = isOfFirst ? retry : 0;
  if (!isOfFirst && now - series.toldAtMs < everyMs) {
    series.leftOut += 1;
    return undefined;
  }
  const { leftOut } = series;
  series.toldAtMs = now;
  series.leftOut = 0;
  return leftOut;
}

const failures: Partial<Record<Retry["why"], string>> = {
  refused: "nobody listens there",
  unreachable: "there is no way there",
  reset: "the connection broke",
  connect_timeout: "the connection was not made in time",
};
