// Log lines: one JSON object per event on standard output, with the contract's fields and no others, or the
// same in a form for people. Secrets that the daemon knows never leave it, wherever in a text they stand.

import { fstatSync } from "node:fs";
import type { LogRecord } from "@llama-orch/contract";
import { destination } from "pino";
import { hiderOf } from "../secrets.ts";
import { PipeLines } from "./pipe-lines.ts";

export type Level = Exclude<LogRecord["level"], "fatal">;
export type LogFields = Omit<LogRecord, "timestamp" | "level" | "service" | "version" | "event">;

export interface Log {
  write(level: Level, event: string, fields: LogFields): void;
  /** The last thing: resolves when everything is out, or nobody has read it for too long. */
  end(): Promise<void>;
}

export interface LogOptions {
  readonly service: string;
  readonly version: string;
  readonly level: Level;
  readonly format: "json" | "pretty";
  /** Texts that must never be seen. */
  readonly secrets: readonly string[];
  /** Where lines go; standard output when absent. */
  readonly write?: (line: string) => void;
}

export function createLog({ service, version, level, format, secrets, write }: LogOptions): Log {
  const leftOut = (lines: number) => {
    const human = `Left out ${lines} lines, since nobody read them.`;
    const head = { level: "warn", timestamp: new Date().toISOString(), service, version };
    return `${JSON.stringify({ ...head, event: "log_lines_dropped", human, details: { lines } })}\n`;
  };
  const inForm = format === "json" ? (line: string) => line : prettyLine;
  const out: Out = write === undefined ? standardOutput((lines) => inForm(leftOut(lines))) : { write };
  const hide = valueHider(secrets);
  const from = JSON.stringify({ service, version }).slice(1, -1);
  const least = levels.indexOf(level);
  return {
    write(at, event, fields) {
      if (levels.indexOf(at) < least) return;
      const timestamp = new Date().toISOString();
      const about = JSON.stringify(hide(event));
      // What changes is written as one object; what every line has is put before it as text.
      const rest = JSON.stringify(hide(fields)).slice(1);
      const head = `{"level":"${at}","timestamp":"${timestamp}",${from},"event":${about}`;
      out.write(inForm(`${head}${rest === "}" ? "" : ","}${rest}\n`));
    },
    async end() {
      await out.end?.();
    },
  };
}

const levels: readonly Level[] = ["trace", "debug", "info", "warn", "error"];

interface Out {
  write(line: string): unknown;
  end?(): void | Promise<void>;
}

/** About ten seconds of a daemon under load, or all that a reader needs to be started again. */
const waitingMax = 8 * 2 ** 20;
const endMs = 1000;

/** Files and terminals take everything; a pipe takes as much as its reader does. */
function standardOutput(leftOut: (lines: number) => string): Out {
  const kind = fstatSync(1);
  if (kind.isFIFO() || kind.isSocket()) return new PipeLines(1, { waitingMax, endMs, leftOut });
  const file = destination({ dest: 1, sync: false });
  return { write: (line) => file.write(line), end: () => file.flushSync() };
}

/** Names of fields are ours and stay; only what stands in them may hold a secret. */
function valueHider(secrets: readonly string[]): (value: unknown) => unknown {
  const hide = hiderOf(secrets);
  if (hide === undefined) return (value) => value;
  const hidden = (value: unknown): unknown => {
    if (typeof value === "string") return hide(value);
    if (Array.isArray(value)) return value.map(hidden);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, hidden(each)]));
  };
  return hidden;
}

/** `12:30:01 INFO  human event=… key=value …`, for a person at a terminal. */
function prettyLine(line: string): string {
  const { timestamp, level, human, service: _service, version: _version, ...rest } = JSON.parse(line);
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== null)
    .map(
      ([key, value]) =>
        `${key}=${typeof value === "string" && !value.includes(" ") ? value : JSON.stringify(value)}`,
    );
  const head = `${String(timestamp).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)}`;
  return `${head} ${human ?? ""} ${fields.join(" ")}`.trimEnd().concat("\n");
}
