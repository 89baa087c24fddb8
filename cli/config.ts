// The only reader of the command line and the environment. Everything else is handed what stands here.

import { homedir } from "node:os";

/** Variables that stand for options; an option that is given wins. */
export const variables = {
  url: "LLORCH_URL",
  token: "LLORCH_API_TOKEN",
  apiKey: "LLORCH_API_KEY",
} as const;

export const urlDefault = "http://127.0.0.1:8080";

export interface Settings {
  readonly url: string | undefined;
  readonly token: string | undefined;
  readonly apiKey: string | undefined;
  readonly dataDir: string;
  /** Where the environment says that the orchestrator of this machine listens. */
  readonly listenAddress: string | undefined;
  /** The terminal can neither colour nor rewrite a line. */
  readonly isDumbTerminal: boolean;
  /** Where programs and libraries are looked for, besides the usual places. */
  readonly programFolders: readonly string[];
  readonly libraryFolders: readonly string[];
}

export function readSettings(): Settings {
  const { env } = process;
  return {
    url: env[variables.url] || undefined,
    token: env[variables.token] || undefined,
    apiKey: env[variables.apiKey] || undefined,
    dataDir: env.LLORCH_DATA_DIR || `${homedir()}/.local/share/llama-orch`,
    listenAddress: env.ORCHD_ADDR || env.BIND_ADDR || undefined,
    isDumbTerminal: env.TERM === "dumb",
    programFolders: folders(env.PATH),
    libraryFolders: folders(env.LD_LIBRARY_PATH),
  };
}

/** The whole environment, for the daemons that `up` starts and the engines they start. */
export function readVariables(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** What was typed behind the program's name. */
export function readArguments(): readonly string[] {
  return process.argv.slice(2);
}

function folders(list: string | undefined): string[] {
  return (list ?? "").split(":").filter((folder) => folder !== "");
}
