// What the daemon runs with: the file, the environment and the flags made into one frozen configuration, or
// every problem at once. Nothing else in this room reads the environment or the command line.

import { homedir, hostname } from "node:os";
import { parseArgs } from "node:util";
import {
  type AnnouncedPool,
  type ConfigInput,
  type ConfigMode,
  type Machine,
  OrchError,
  type OrchestratordConfig,
  orchestratordConfig,
  problemText,
  resolveConfig,
} from "@llama-orch/contract";
import { readConfigFile } from "./config-file.ts";

/** What is read where; whatever is absent comes from the process. */
export interface ConfigSources {
  readonly argv?: readonly string[];
  readonly environment?: NonNullable<ConfigInput["environment"]>;
  readonly machine?: Machine;
  /** Stands in for a file where none is named: how a program that carries the daemon configures it. */
  readonly file?: unknown;
}

export interface LoadedConfig {
  readonly ok: true;
  readonly config: OrchestratordConfig;
  /** How pools are treated that no file names. */
  readonly announcedPool: AnnouncedPool;
  readonly origins: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

export interface RefusedConfig {
  readonly ok: false;
  /** One sentence each, for the operator; the process then leaves with code 2. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export const usage =
  "orchestratord [--config FILE] [--mode strict|compat] [--addr HOST:PORT] [--data-dir PATH] " +
  "[--log-level LEVEL] [--log-format json|pretty]";

/** Flag → the key it sets. */
const keys = {
  addr: "auth.bind_addr",
  "data-dir": "data_dir",
  "log-level": "telemetry.log_level",
  "log-format": "telemetry.log_format",
} as const;

export function loadConfig(sources: ConfigSources = {}): LoadedConfig | RefusedConfig {
  const { environment = process.env } = sources;
  try {
    const flags = readFlags(sources.argv ?? process.argv.slice(2));
    const path = flags.config ?? (environment.ORCHD_POOLS_CONFIG?.trim() || undefined);
    const resolved = resolveConfig({
      file: path === undefined ? sources.file : readConfigFile(path),
      environment,
      flags: flags.set,
      ...(flags.mode !== undefined && { mode: flags.mode }),
      machine: sources.machine ?? { home: homedir(), hostname: hostname() },
    });
    const { warnings } = resolved;
    if (!resolved.ok) return { ok: false, problems: resolved.problems.map(problemText), warnings };
    return { ...resolved, config: orchestratordConfig(resolved.config) };
  } catch (error) {
    if (!(error instanceof OrchError)) throw error;
    return { ok: false, problems: [error.message], warnings: [] };
  }
}

interface ReadFlags {
  readonly config: string | undefined;
  readonly mode: ConfigMode | undefined;
  readonly set: NonNullable<ConfigInput["flags"]>;
}

function readFlags(args: readonly string[]): ReadFlags {
  const { config, mode, ...others } = parseFlags(args);
  if (mode !== undefined && mode !== "strict" && mode !== "compat") {
    throw misused(`--mode: given ${JSON.stringify(mode)}; accepted: strict or compat`);
  }
  const given = Object.entries(keys).filter(([flag]) => others[flag] !== undefined);
  const set = given.map(([flag, sets]) => [`--${flag}`, { sets, value: others[flag] }] as const);
  return { config, mode, set: Object.fromEntries(set) };
}

function parseFlags(args: readonly string[]): Readonly<Record<string, string | undefined>> {
  const names = ["config", "mode", ...Object.keys(keys)];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" } as const]));
  try {
    return parseArgs({ args: [...args], options }).values as Record<string, string | undefined>;
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!code.startsWith("ERR_PARSE_ARGS_")) throw error;
    // The first sentence of Node's message names what was typed; the others explain parseArgs.
    throw misused(message.split(/\.?\s*\n|\. /)[0] as string);
  }
}

const misused = (complaint: string) => new OrchError("INVALID_PARAMS", `${complaint}. The call is ${usage}.`);
