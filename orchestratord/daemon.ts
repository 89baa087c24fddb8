// The daemon as a program: reads its configuration, starts, and stops politely on SIGTERM or Ctrl-C, at once
// on the second. Exit code 2 is for what an operator has to change.

import { loadConfig } from "./config.ts";
import { DirectoryTaken } from "./data-directory.ts";
import { type RunningOrchestratord, startOrchestratord } from "./start.ts";

const usage = 2;

export async function runDaemon(): Promise<void> {
  const loaded = loadConfig();
  for (const warning of loaded.warnings) console.error(`warning: ${warning}`);
  if (loaded.ok) {
    const daemon = await startOrchestratord({ config: loaded.config }).catch(refuse);
    if (daemon !== undefined) stopOnSignals(daemon);
  } else {
    for (const problem of loaded.problems) console.error(problem);
    process.exitCode = usage;
  }
}

/** Undefined when an operator can do something about it; anything else is a bug and ends the process. */
function refuse(error: Error & { code?: string; port?: number }): undefined {
  const { code, message, port } = error;
  if (code === "EADDRINUSE") {
    console.error(
      `Port ${port} is taken by another process. Stop it, or set auth.bind_addr (--addr) to another one.`,
    );
  } else if (error instanceof DirectoryTaken || code === "EACCES" || code === "EADDRNOTAVAIL") {
    console.error(message);
  } else {
    throw error;
  }
  process.exitCode = usage;
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
