// From a file, the environment and flags to one frozen configuration, or to every problem at once. Later
// sources win: defaults < file < environment < flags. Pure: who reads files and the environment is the
// caller.

import type { TSchema } from "typebox";
import { parser } from "../parse.ts";
import { type Problem, problemText } from "../problem.ts";
import { prune } from "../prune.ts";
import {
  type Assignment,
  type Findings,
  type Flags,
  fromEnvironment,
  fromFlags,
  readMode,
  report,
  type Variables,
} from "./assignments.ts";
import { type Config, ConfigFile } from "./config.ts";
import { derive, deriveWaiting, type Machine } from "./derived.ts";
import type { ConfigMode } from "./environment.ts";
import {
  type Draft,
  everyPool,
  expandHome,
  fill,
  isObject,
  leaves,
  setAt,
  valueAt,
  wholeFile,
} from "./keys.ts";
import { AnnouncedPool } from "./pool.ts";
import { findings } from "./rules.ts";

export interface ConfigInput {
  /** What the file says, parsed; absent or null when there is none. */
  readonly file?: unknown;
  readonly environment?: Variables;
  readonly flags?: Flags;
  /** Wins over LLORCH_CONFIG_MODE. */
  readonly mode?: ConfigMode;
  readonly machine?: Machine;
}

export interface ResolvedConfig {
  readonly ok: true;
  readonly config: Config;
  /** How pools are treated that no file names. */
  readonly announcedPool: AnnouncedPool;
  /** Where each value comes from: `default`, `file`, `environment NAME` or `flag NAME`. */
  readonly origins: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

export interface RefusedConfig {
  readonly ok: false;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

const parseFile = parser(ConfigFile);

export function resolveConfig(input: ConfigInput): ResolvedConfig | RefusedConfig {
  const found: Findings = { problems: [], warnings: [], faulty: [] };
  const variables = input.environment ?? {};
  const mode = input.mode ?? readMode(variables, found);
  const file = readFile(input.file, mode, found);
  const assignments = [...fromEnvironment(variables, found), ...fromFlags(input.flags ?? {}, found)];

  const draft = structuredClone(file);
  const assigned = assign(draft, assignments);
  fill(wholeFile, draft);
  derive(draft, input.machine ?? { home: "~", hostname: "localhost" });

  const config = draft as unknown as Config;
  const stated = (path: string) => assigned.has(path) || valueAt(file, path) !== undefined;
  for (const each of findings(config, found.faulty, stated)) {
    report(found, each);
  }
  const { problems, warnings } = found;
  if (problems.length > 0) return { ok: false, problems, warnings };

  expandHome(draft, input.machine?.home ?? "~");
  const origins = new Map<string, string>();
  for (const { path } of leaves(wholeFile, draft)) {
    origins.set(path, assigned.get(path) ?? (valueAt(file, path) === undefined ? "default" : "file"));
  }
  return { ok: true, config: freeze(config), announcedPool: announcedPool(assignments), origins, warnings };
}

/** The file without what is wrong with it being hidden: a value of a wrong type stays, marked as faulty. */
function readFile(file: unknown, mode: ConfigMode, found: Findings): Draft {
  if (file === undefined || file === null) return {};
  if (!isObject(file)) {
    const given = Array.isArray(file) ? "a list" : `a ${typeof file}`;
    report(found, { path: "The file", given, accepted: "an object with keys such as pools" });
    return {};
  }
  const problems = parseFile.problems(file);
  const [unknown, wrong] = [
    problems.filter((each) => each.unknownKey),
    problems.filter((each) => !each.unknownKey),
  ];
  for (const problem of wrong) report(found, problem, problem.path);
  if (mode === "strict") found.problems.push(...unknown);
  else found.warnings.push(...unknown.map((each) => `${problemText(each)} The key is ignored.`));
  return prune(ConfigFile, file) as Draft;
}

/** Puts the assignments over the draft and says which paths they set. */
function assign(draft: Draft, assignments: readonly Assignment[]): Map<string, string> {
  const assigned = new Map<string, string>();
  for (const { sets, value, origin } of assignments) {
    for (const path of everyPool(sets, draft)) {
      if (sets === "pools[].allow_cpu" && !mayServeOnCpu(draft, path, value)) continue;
      setAt(draft, path, structuredClone(value));
      assigned.set(path, origin);
    }
  }
  return assigned;
}

/** LLORCH_ALLOW_CPU speaks for a whole machine: it helps pools without devices and leaves others alone. */
function mayServeOnCpu(draft: Draft, path: string, value: unknown): boolean {
  const devices = valueAt(draft, path.replace("allow_cpu", "devices"));
  return value === true && Array.isArray(devices) && devices.length === 0;
}

function announcedPool(assignments: readonly Assignment[]): AnnouncedPool {
  const pool: Draft = {};
  for (const { sets, value } of assignments) {
    const key = sets.startsWith("pools[].queue.") ? sets.slice("pools[].".length) : undefined;
    if (key !== undefined) setAt(pool, key, value);
  }
  fill(AnnouncedPool as TSchema, pool);
  deriveWaiting(pool as Partial<AnnouncedPool>);
  return freeze(pool as unknown as AnnouncedPool);
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
