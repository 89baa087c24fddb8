// `npm run config -- [FILE] [--mode compat] [--json]`: shows what the daemons would run with, value by value
// with where it comes from, or every problem at once with exit code 2. It starts nothing and shows no secret.

import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { parseArgs, styleText } from "node:util";
import { type PrintedValue, printedValues, problemText, resolveConfig } from "@llama-orch/contract";
import { type Document, parseDocument } from "yaml";

interface Wish {
  readonly path: string | undefined;
  readonly mode: "strict" | "compat" | undefined;
  readonly json: boolean;
}

const usage = "Usage: npm run config -- [FILE] [--mode strict|compat] [--json]";

/** Something about the call or the file, said in a sentence; there is no configuration to speak of. */
class Refusal extends Error {}

function show({ path, mode, json }: Wish): void {
  const result = resolveConfig({
    file: path === undefined ? undefined : readConfig(path),
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
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const { mode, json = false, help } = values;
    if (help || positionals.length > 1) throw new Refusal(usage);
    if (mode !== undefined && mode !== "strict" && mode !== "compat") {
      throw new Refusal(`--mode: given ${JSON.stringify(mode)}; accepted: strict or compat.`);
    }
    return { path: positionals[0] ?? (process.env.ORCHD_POOLS_CONFIG || undefined), mode, json };
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(`${(error as Error).message}\n${usage}`);
  }
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: "There is no such file",
  EISDIR: "It is a directory; name a YAML or JSON file in it",
  EACCES: "This user may not read it",
};

/** JSON is read as YAML, whose subset it is, so that both report where a mistake stands. */
function readConfig(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new Refusal(`The configuration file ${path} cannot be read. ${unreadable[code] ?? message}.`);
  }
  const document = parseDocument(text, { prettyErrors: false });
  const [mistake] = document.errors;
  if (mistake === undefined) return plainValue(document, path);
  const before = text.slice(0, mistake.pos[0]).split("\n");
  const where = `line ${before.length}, column ${(before.at(-1) as string).length + 1}`;
  // What follows a colon may quote the file, and the file may hold a secret.
  const what = mistake.message.replace(/:\s*".*$/s, "").replace(/; please.*|\.$/s, "");
  throw new Refusal(`The configuration file ${path} is not valid YAML or JSON at ${where}: ${what}.`);
}

function plainValue(document: Document.Parsed, path: string): unknown {
  try {
    return document.toJS();
  } catch {
    throw new Refusal(`The configuration file ${path} has an alias that is unknown or refers to too much.`);
  }
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
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
