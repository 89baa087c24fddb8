// The grammar of the demo model as data: what a haiku can be about, its lines, the ways to ask for one, and
// how many syllables each word has. Reads the files of grammar/ once; writing and scanning are next door.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export type Number = "one" | "many" | "mass";
export type Subject = { readonly name: string; readonly kind: string; readonly number: Number };

/** The lines of one kind of subject; each entry is a line, or two with a slash between them. */
export type Lines = {
  readonly settings: readonly string[];
  readonly open: readonly string[];
  readonly close: readonly string[];
  readonly name: readonly string[];
  readonly answer: readonly string[];
};

export type Grammar = {
  /** What the model is expected to know and to name. */
  readonly subjects: readonly Subject[];
  /** What it answers with a poem about not knowing. */
  readonly unknown: readonly string[];
  readonly lines: ReadonlyMap<string, Lines>;
  readonly adjectives: ReadonlyMap<string, readonly string[]>;
  readonly draws: ReadonlyMap<string, readonly string[]>;
  readonly prompts: { readonly about: readonly string[]; readonly open: readonly string[] };
  readonly syllables: ReadonlyMap<string, number>;
};

type Kind = { like?: string[] } & { [N in Number]?: string };
type LinesFile = {
  adjectives: Record<string, string>;
  draws: Record<string, string>;
  settings: Record<string, string[]>;
  lines: Record<string, Partial<Record<keyof Lines, string[]>>>;
};

export function readGrammar(): Grammar {
  const kinds = read<Record<string, Kind>>("subjects");
  const file = read<LinesFile>("lines");
  const lines = new Map(Object.keys(kinds).map((kind) => [kind, gather(file, kinds, kind)]));
  return {
    subjects: Object.keys(kinds).flatMap((kind) => (kind === "unknown" ? [] : subjectsOf(kinds, kind))),
    unknown: subjectsOf(kinds, "unknown").map(({ name }) => name),
    lines,
    adjectives: new Map(Object.entries(file.adjectives).map(([kind, words]) => [kind, split(words)])),
    draws: new Map(Object.entries(file.draws).map(([name, words]) => [name, split(words)])),
    prompts: read<Grammar["prompts"]>("prompts"),
    syllables: readSyllables(),
  };
}

function read<T>(name: string): T {
  return parse(readFileSync(join(import.meta.dirname, "grammar", `${name}.yaml`), "utf8")) as T;
}

function subjectsOf(kinds: Record<string, Kind>, kind: string): Subject[] {
  const of = (number: Number) => split(kinds[kind]?.[number] ?? "").map((name) => ({ name, kind, number }));
  return [...of("one"), ...of("many"), ...of("mass")];
}

/** The lines of a kind with those of the kinds it is like; what it says of itself comes first. */
function gather({ lines, settings }: LinesFile, kinds: Record<string, Kind>, kind: string): Lines {
  const all = [kind, ...(kinds[kind]?.like ?? [])];
  const from = (part: keyof Lines) => all.flatMap((name) => lines[name]?.[part] ?? []);
  return {
    settings: (lines[kind]?.settings ?? []).flatMap((name) => settings[name] ?? []),
    open: from("open"),
    close: from("close"),
    name: from("name"),
    answer: from("answer"),
  };
}

function readSyllables(): Map<string, number> {
  const rows = Object.entries(read<Record<string, string>>("syllables"));
  return new Map(rows.flatMap(([count, words]) => words.split(/\s+/).map((word) => [word, Number(count)])));
}

function split(list: string): string[] {
  return list
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}
