// The door: one call of `llorch`, from its arguments to its exit code.

import { readSettings, readVariables } from "./config.ts";
import { fileInspector } from "./doctor/inspector.ts";
import { type ExitCode, exitCodes, failureOf } from "./failure.ts";
import { createProgram, type Surroundings } from "./program.ts";
import { processTerminal } from "./terminal.ts";
import { installationStarter } from "./up.ts";

export async function runLlorch(
  args: readonly string[],
  surroundings: Surroundings = processSurroundings(),
): Promise<ExitCode> {
  const program = createProgram(surroundings);
  const { err } = surroundings.terminal;
  try {
    if (args.length === 0) program.help();
    await program.parseAsync([...args], { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    const json = program.opts<{ json?: boolean }>().json ?? false;
    if (json && "message" in failure.error) err.write(`${JSON.stringify({ error: failure.error })}\n`);
    else if (failure.message !== "") err.write(`llorch: ${failure.message}\n`);
    return failure.exitCode;
  }
}

function processSurroundings(): Surroundings {
  return {
    terminal: processTerminal(),
    settings: readSettings(),
    inspector: fileInspector(),
    nodeVersion: process.version,
    start: installationStarter(readVariables()),
  };
}
