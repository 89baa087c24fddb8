// `npm run config -- [FILE] [--mode compat] [--json]`: shows what the daemons would run with, value by value
// with where it comes from, or every problem at once with exit code 2. It starts nothing and shows no secret.

import { homedir, hostname } from "node:os";
import { styleText } from "node:util";
import {
  OrchError,
  type PrintedValue,
  printedValues,
  problemText,
  resolveConfig,
} from "@llama-orch/contract";
import { readConfigFile } from "@llama-orch/orchestratord/config-file";
import { readOptions } from "./options.ts";

interface Wish {
  readonly path: string | undefined;
  readonly mode: "strict" | "compat" | undefined;
  readonly json: boolean;
}

const usage = "npm run config -- [FILE] [--mode strict|compat] [--json]";

/** Something about the call, said in a sentence; there is no configuration to speak of. */
class Refusal extends Error {}

function show({ path, mode, json }: Wish): void {
  const result = resolveConfig({
    file: path === undefined ? undefined : readConfigFile(path),
    environment: process.env,
    ...(mode === undefined ? {} : { mode }),
    machine: { home: homedir(), hostname: hostname() },
  });
  const problems = result.ok ? [] : result.problems;
  if (!result.ok) process.exitCode = 2;
  if (json) {
    const values = result.ok ? printedValues(result) : [];
    console.log(JSON.stringify({ ok: result.ok, problems, warnings: result.warnings, values }, null, 2));
    return;
  }
  for (const warning of result.warnings)
    console.error(paint("yellow", `warning: ${warning}`, process.stderr));
  for (const problem of problems) console.error(paint("red", problemText(problem), process.stderr));
  if (result.ok) console.log(columns(printedValues(result)));
}

function wishOf(args: string[]): Wish {
  const options = { mode: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean" } } as const;
  const { values, positionals } = readOptions(usage, { args, options, allowPositionals: true });
  const { mode, json = false, help } = values;
  if (help || positionals.length > 1) throw new Refusal(`Usage: ${usage}`);
  if (mode !== undefined && mode !== "strict" && mode !== "compat") {
    throw new Refusal(`--mode: given ${JSON.stringify(mode)}; accepted: strict or compat.`);
  }
  return { path: positionals[0] ?? (process.env.ORCHD_POOLS_CONFIG || undefined), mode, json };
}

/** Default values step back, so that what somebody decided stands out. */
function columns(values: readonly PrintedValue[]): string {
  const rows = values.map(({ path, value, origin }) => [path, JSON.stringify(value), origin] as const);
  const width = (column: 0 | 1) => Math.min(60, Math.max(...rows.map((row) => row[column].length)));
  const [first, second] = [width(0), width(1)];
  return rows
    .map(([path, value, origin]) => {
      const line = `${path.padEnd(first)}  ${value.padEnd(second)}  ${origin}`;
      return origin === "default" ? paint("dim", line, process.stdout) : line;
    })
    .join("\n");
}

function paint(style: "dim" | "red" | "yellow", line: string, stream: NodeJS.WriteStream): string {
  return styleText(style, line, { stream });
}

try {
  show(wishOf(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Refusal || error instanceof OrchError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
