// Log lines: one JSON object per event on standard output, with the contract's fields and no others, or the
// same in a form for people. Secrets that the daemon knows never leave it, wherever in a text they stand.

import type { LogRecord } from "@llama-orch/contract";
import { destination, pino } from "pino";
import { hiderOf } from "../secrets.ts";

export type Level = Exclude<LogRecord["level"], "fatal">;
export type LogFields = Omit<LogRecord, "timestamp" | "level" | "service" | "version" | "event">;

export interface Log {
  write(level: Level, event: string, fields: LogFields): void;
  /** Everything written so far is out. */
  flush(): void;
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
  const out = write === undefined ? destination({ dest: 1, sync: false }) : { write };
  const stream = format === "json" ? out : { write: (line: string) => void out.write(prettyLine(line)) };
  const hide = recordHider(secrets);
  const logger = pino(
    {
      level,
      base: { service, version },
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return {
    write: (at, event, fields) => logger[at](hide({ event, ...fields })),
    flush: () => {
      if ("flushSync" in out) out.flushSync();
    },
  };
}

/** Names of fields are ours and stay; only what stands in them may hold a secret. */
function recordHider(
  secrets: readonly string[],
): (record: Record<string, unknown>) => Record<string, unknown> {
  const hide = hiderOf(secrets);
  if (hide === undefined) return (record) => record;
  const hidden = (value: unknown): unknown => {
    if (typeof value === "string") return hide(value);
    if (Array.isArray(value)) return value.map(hidden);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, hidden(each)]));
  };
  return (record) => hidden(record) as Record<string, unknown>;
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
