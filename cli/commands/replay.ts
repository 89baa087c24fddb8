// `llorch replay`: decides again what a journal says was decided, with the core that is here, and shows the
// first decision that comes out otherwise. It needs no daemon and no GPU.

import type { Difference, Replayed } from "@llama-orch/orchestratord/journal/replay";
import { type Context, print } from "../context.ts";
import { Refusal } from "../failure.ts";
import { countText } from "../print/quantity.ts";
import { safeText } from "../print/safe-text.ts";
import { StatusLine } from "../print/status-line.ts";
import { type Output, paint } from "../terminal.ts";

export async function replayJournal(context: Context, path: string): Promise<void> {
  const [{ coreVersion }, { readJournal, UnreadableJournal }, { replay }] = await Promise.all([
    import("@llama-orch/orchestratord/journal/core-version"),
    import("@llama-orch/orchestratord/journal/read"),
    import("@llama-orch/orchestratord/journal/replay"),
  ]);
  const status = new StatusLine(context.terminal.err);
  const isShown = context.terminal.err.isTTY === true && !context.json;
  const today = coreVersion();
  try {
    const replayed = await replay(readJournal(path), (events) => {
      if (isShown) status.show(`${countText(events, "event")} decided again …`);
    });
    status.clear();
    const identical = replayed.difference === undefined;
    print(context, { identical, core: today, ...replayed }, () =>
      report(replayed, today, context.terminal.out),
    );
    if (!identical) throw new Refusal(sentence(replayed));
  } catch (error) {
    status.clear();
    throw error instanceof UnreadableJournal ? new Refusal(error.message) : error;
  }
}

function report(replayed: Replayed, today: string, out: Output): string {
  const { cores, versions, gaps, torn, difference } = replayed;
  const others = cores.filter((core) => core !== today);
  const lines = [
    ...(others.length > 0
      ? [
          `Written by another core: ${others.join(", ")} of orchestratord ${versions.join(", ")}; here is ${today}.`,
        ]
      : []),
    ...torn.map(({ file, line }) => `${file} ends in the middle of line ${line}, as a crash leaves it.`),
    ...gaps.map(
      ({ file, fromSeq, toSeq }) => `Before ${file} the events ${fromSeq} to ${toSeq} were not written down.`,
    ),
  ];
  const safe = lines.map((line) => `${safeText(line)}\n`).join("");
  if (difference !== undefined) return safe + differenceText(difference, out);
  return `${safe}${sentence(replayed)}\n`;
}

function differenceText(difference: Difference, out: Output): string {
  const { file, line, seq, nowMs, event, recorded, today, differs } = difference;
  const head = `First difference: event ${seq}, ${event.type} at ${timeText(nowMs)}, line ${line} of ${file}`;
  const lines = [
    ...differs.map((each, n) => [n === 0 ? "differs" : "", each]),
    ["event", JSON.stringify(event)],
    ["recorded", JSON.stringify(recorded)],
    ["today", JSON.stringify(today)],
  ];
  const shown = lines.map(([name = "", text = ""]) => `  ${name.padEnd(8)}  ${safeText(text)}\n`);
  return `${paint("bold", safeText(head), out)}\n${shown.join("")}`;
}

function sentence({ events, effects, fromMs, toMs, difference }: Replayed): string {
  if (fromMs === undefined || toMs === undefined) return "There are no events in it: identical.";
  const what = `${countText(events, "event")} with ${countText(effects, "effect")}`;
  const when = `from ${timeText(fromMs)} to ${timeText(toMs)}`;
  const how = difference === undefined ? "identical" : `different from event ${difference.seq} on`;
  return `${what}, ${when}: ${how}.`;
}

/** Times of a damaged or invented journal may be none. */
function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
