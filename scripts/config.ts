// `npm run config -- [FILE] [--mode compat] [--json]`: shows what the daemons would run with, value by value
// with where it comes from, or every problem at once with exit code 2. It starts nothing and shows no secret.

import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { styleText } from "node:util";
import { type PrintedValue, printedValues, problemText, resolveConfig } from "@llama-orch/contract";
import { type Document, type ErrorCode, parseDocument } from "yaml";
import { readOptions } from "./options.ts";

interface Wish {
  readonly path: string | undefined;
  readonly mode: "strict" | "compat" | undefined;
  readonly json: boolean;
}

const usage = "npm run config -- [FILE] [--mode strict|compat] [--json]";

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
  const { values, positionals } = readOptions(usage, { args, options, allowPositionals: true });
  const { mode, json = false, help } = values;
  if (help || positionals.length > 1) throw new Refusal(`Usage: ${usage}`);
  if (mode !== undefined && mode !== "strict" && mode !== "compat") {
    throw new Refusal(`--mode: given ${JSON.stringify(mode)}; accepted: strict or compat.`);
  }
  return { path: positionals[0] ?? (process.env.ORCHD_POOLS_CONFIG || undefined), mode, json };
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
  // Without stringKeys a key that is a list would be printed in a warning of the library's own.
  const document = parseDocument(text, { prettyErrors: false, stringKeys: true });
  const [mistake] = document.errors;
  if (mistake === undefined) return plainValue(document, path);
  const before = text.slice(0, mistake.pos[0]).split("\n");
  const where = `line ${before.length}, column ${(before.at(-1) as string).length + 1}`;
  throw new Refusal(
    `The configuration file ${path} is not valid YAML or JSON at ${where}: ${reasons[mistake.code]}.`,
  );
}

/** Never the library's own words: they may quote the file, and the file may hold a secret. */
const reasons: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: "an alias takes no anchor and no tag of its own",
  BAD_ALIAS: "an anchor or alias has no usable name",
  BAD_COLLECTION_TYPE: "a tag does not fit the list or mapping behind it",
  BAD_DIRECTIVE: "a line that starts with % is no directive of YAML 1.2",
  BAD_DQ_ESCAPE: "a text in double quotes holds a backslash that escapes nothing",
  BAD_INDENT: "the indentation does not fit the lines around it, or a bracket is not closed",
  BAD_PROP_ORDER: "an anchor or a tag stands where none may stand",
  BAD_SCALAR_START: "a text starts with a character that needs quotes",
  BLOCK_AS_IMPLICIT_KEY: "a mapping starts on the line of another one; quote the text or break the line",
  BLOCK_IN_FLOW: "a list or mapping by indentation stands inside brackets",
  DUPLICATE_KEY: "a key stands twice in the same mapping",
  IMPOSSIBLE: "it cannot be read here",
  KEY_OVER_1024_CHARS: "a key is longer than 1024 characters",
  MISSING_CHAR: "a quote, a colon, a comma or a blank is missing",
  MULTILINE_IMPLICIT_KEY: "a key goes over several lines",
  MULTIPLE_ANCHORS: "a value has more than one anchor",
  MULTIPLE_DOCS: "a second document starts; keep one",
  MULTIPLE_TAGS: "a value has more than one tag",
  NON_STRING_KEY: "a key must be a text",
  RESOURCE_EXHAUSTION: "it nests too deep or refers to too much",
  TAB_AS_INDENT: "a tab is used as indentation; use blanks",
  TAG_RESOLVE_FAILED: "a tag cannot be read",
  UNEXPECTED_TOKEN: "something stands where it cannot be read",
};

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
