// What was typed behind a command, and one sentence with exit code 2 when it cannot be meant. The words come
// from the command itself, which alone reads the command line.

import { type ParseArgsConfig, parseArgs } from "node:util";

/** @param usage how the command is called, in full */
export function readOptions<T extends ParseArgsConfig & { args: string[] }>(
  usage: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!code.startsWith("ERR_PARSE_ARGS_")) throw error;
    // The first sentence of Node's message names what was typed; the others explain parseArgs.
    const [complaint = ""] = message.split(/\.?\s*\n|\. /);
    console.error(`${complaint}: the call is ${usage}.`);
    process.exit(2);
  }
}
