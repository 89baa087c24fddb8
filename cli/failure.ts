// From an error to a sentence that says what to do, and to the exit code. Nothing else in the program exits.

import { errorTable, OrchError } from "@llama-orch/contract";
import { UnexpectedReplyError, UnreachableError } from "@llama-orch/sdk";
import { CommanderError } from "commander";
import { durationText } from "./print/quantity.ts";
import { safeText } from "./print/safe-text.ts";

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130, readerGone: 141 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Something that a command has to say in a sentence of its own. */
export class Refusal extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = exitCodes.failed) {
    super(message);
    this.name = "Refusal";
    this.exitCode = exitCode;
  }
}

/** Ctrl-C; everything that had to be said was said. */
export class Interrupted extends Error {}

export interface Failure {
  readonly exitCode: ExitCode;
  readonly message: string;
  /** As `--json` prints it. */
  readonly error: object;
}

/** undefined for what is no expected failure: a fault of ours, which shows its stack. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof Interrupted) {
    return { exitCode: exitCodes.interrupted, message: "", error: { message: "Interrupted." } };
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { exitCode: exitCodes.ok, message: "", error: {} };
    // For a person commander has said it, with a hint at --help.
    const message = error.message.replace(/^error: /, "");
    return { exitCode: exitCodes.usage, message: "", error: { message } };
  }
  if (error instanceof Refusal) return { exitCode: error.exitCode, ...said(error.message) };
  if (error instanceof OrchError) return { ...said(orchText(error)), exitCode: 1, error: error.toEnvelope() };
  if (error instanceof UnreachableError)
    return { exitCode: exitCodes.failed, ...said(unreachableText(error)) };
  if (error instanceof UnexpectedReplyError) return { exitCode: exitCodes.failed, ...said(error.message) };
  return undefined;
}

export function outputFailure({ message }: Error): Failure {
  const says = `The output cannot be written: ${message}. Make room for it, or send it somewhere else.`;
  return { exitCode: exitCodes.failed, ...said(says) };
}

const said = (message: string) => ({ message: safeText(message), error: { message } });

const advice: Partial<Record<OrchError["code"], string>> = {
  MISSING_TOKEN: "Pass --token, or set LLORCH_API_TOKEN.",
  BAD_TOKEN: "Pass the right --token, or correct LLORCH_API_TOKEN.",
  MISSING_API_KEY: "Pass --api-key, or set LLORCH_API_KEY.",
  POOL_UNAVAILABLE: "`llorch pools` shows what is served.",
  PAYLOAD_TOO_LARGE: "Send a shorter text.",
  INVALID_API_KEY: "Pass the right --api-key, or correct LLORCH_API_KEY.",
};

function orchText({ code, message, details }: OrchError): string {
  const text = message === "" ? errorTable[code].says : message;
  const { hint, retry_after_ms: afterMs } = details;
  const when = afterMs === undefined ? undefined : `Try again in ${durationText(afterMs)}.`;
  return [`${code}: ${text}`, advice[code] ?? hint, when].filter((part) => part !== undefined).join(" ");
}

function unreachableText({ url, code, message }: UnreachableError): string {
  if (code === "ECONNREFUSED") {
    return `Nothing listens on ${url}. Start it with \`npm run up\`, or name another address with --url.`;
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return `The name in ${url} leads to no address. Correct --url or LLORCH_URL.`;
  }
  return message;
}
