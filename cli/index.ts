// The door: one call of `llorch`, from its arguments to its exit code.

import { readSettings, readVariables } from "./config.ts";
import { fileInspector } from "./doctor/inspector.ts";
import { type ExitCode, exitCodes, type Failure, failureOf, outputFailure } from "./failure.ts";
import { createProgram, type Surroundings } from "./program.ts";
import { processTerminal } from "./terminal.ts";
import { installationStarter } from "./up.ts";

export async function runLlorch(
  args: readonly string[],
  surroundings: Surroundings = processSurroundings(),
): Promise<ExitCode> {
  const { terminal } = surroundings;
  const json = wantsJson(args);
  const failure = await failureOfCall(args, surroundings, json);
  const unwritten = await terminal.written();
  // The reader has seen enough (`llorch tasks | head`); nothing is to be said.
  if (unwritten?.code === "EPIPE") return exitCodes.readerGone;
  const told = unwritten === undefined ? failure : outputFailure(unwritten);
  if (told === undefined) return exitCodes.ok;
  if (json && "message" in told.error) terminal.err.write(`${JSON.stringify({ error: told.error })}\n`);
  else if (told.message !== "") terminal.err.write(`llorch: ${told.message}\n`);
  return told.exitCode;
}

/** What is typed wrong has to be said before the options are parsed; behind -- stands no option. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end === -1 ? args.length : end).includes("--json");
}

async function failureOfCall(
  args: readonly string[],
  surroundings: Surroundings,
  json: boolean,
): Promise<Failure | undefined> {
  try {
    const program = createProgram(surroundings, json);
    if (args.length === 0) program.help();
    await program.parseAsync([...args], { from: "user" });
    return undefined;
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    return failure;
  }
}

function processSurroundings(): Surroundings {
  const settings = readSettings();
  return {
    terminal: processTerminal({ isDumb: settings.isDumbTerminal }),
    settings,
    inspector: fileInspector(),
    nodeVersion: process.version,
    start: installationStarter(readVariables()),
  };
}
