// The tables of the configuration's document, rendered from the schema and the table of variables, so that
// the document cannot say anything else than the program does.

import type { TSchema } from "typebox";
import { accepted } from "../accepted.ts";
import { type EnvironmentRow, environment, environmentNames } from "./environment.ts";
import { type Key, keyAt, wholeFile } from "./keys.ts";

interface KeyRow {
  readonly path: string;
  readonly key: Key;
  readonly needed: boolean;
}

/** One row per key of the file: path, what it accepts, default, sentence. */
export function fileKeysTable(): string {
  const rows = [...keys(wholeFile, "")].map(({ path, key, needed }) => [
    code(path),
    acceptedBy(key),
    needed ? "required" : defaultOf(key),
    key.description ?? "",
  ]);
  return markdownTable(["Key", "Accepts", "Default", "What it does"], rows);
}

/** One row per variable: names, who reads it, what it accepts, default, sentence. */
export function environmentTable(): string {
  const rows = environmentNames.map((name) => {
    const row: EnvironmentRow = environment[name];
    const key = (row.sets === undefined ? row.accepts : keyAt(row.sets)) as Key;
    return [
      [name, ...row.aliases].map(code).join(", "),
      row.readBy.join(", "),
      row.words === undefined ? acceptedBy(key) : Object.keys(row.words).sort().join(", "),
      row.words === undefined ? defaultOf(key) : code("false"),
      row.sets === undefined ? "" : code(row.sets),
      key["x-secret"] === true ? `${row.says} Secret.` : row.says,
    ];
  });
  return markdownTable(["Variable", "Read by", "Accepts", "Default", "Sets", "What it does"], rows);
}

/** Groups are left out: their keys say what they hold. */
function* keys(schema: Key, path: string): Generator<KeyRow> {
  for (const [name, key] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? name : `${path}.${name}`;
    const needed = schema.required?.includes(name) ?? false;
    const inner = key.items?.properties === undefined ? key : key.items;
    if (inner !== key || key.properties === undefined) yield { path: at, key, needed };
    yield* keys(inner, inner === key ? at : `${at}[]`);
  }
}

const code = (text: string): string => `\`${text}\``;

function acceptedBy(key: TSchema): string {
  return accepted({ ...key });
}

function defaultOf(key: Key): string {
  if (key["x-default"] !== undefined) return key["x-default"];
  return "default" in key ? code(JSON.stringify(key.default)) : "none";
}

/** Cells may hold any text; a bar in one would end it. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
