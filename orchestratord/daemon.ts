// The daemon as a program: reads its configuration, starts, and stops politely on SIGTERM or Ctrl-C, at once
// on the second. Exit code 2 is for what an operator has to change.

import { loadConfig } from "./config.ts";
import { type RunningOrchestratord, startOrchestratord } from "./start.ts";
import { startFailure, usageExitCode } from "./start-failure.ts";

export async function runDaemon(): Promise<void> {
  const loaded = loadConfig();
  for (const warning of loaded.warnings) console.error(`warning: ${warning}`);
  if (loaded.ok) {
    const daemon = await startOrchestratord({ config: loaded.config }).catch(refuse);
    if (daemon !== undefined) stopOnSignals(daemon);
  } else {
    for (const problem of loaded.problems) console.error(problem);
    process.exitCode = usageExitCode;
  }
}

/** Undefined when an operator can do something about it; anything else is a bug and ends the process. */
function refuse(error: unknown): undefined {
  const sentence = startFailure(error);
  if (sentence === undefined) throw error;
  console.error(sentence);
  process.exitCode = usageExitCode;
}

function stopOnSignals(daemon: RunningOrchestratord): void {
  const atOnce = new AbortController();
  let stopping: Promise<void> | undefined;
  const stop = () => {
    if (stopping !== undefined) atOnce.abort();
    stopping ??= daemon.stop(atOnce.signal);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}
