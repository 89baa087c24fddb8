// A journal from the disk, line by line, however large it is: one file, or the files of a folder in their
// order. A last line that is not whole is what a crash leaves; anything else that is no journal is an error.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { journalFiles } from "./folder.ts";
import { type Entry, formatVersion, type Header } from "./format.ts";

export type JournalItem =
  | { readonly kind: "header"; readonly file: string; readonly header: Header }
  | { readonly kind: "entry"; readonly file: string; readonly line: number; readonly entry: Entry }
  /** The file ends in the middle of this line. */
  | { readonly kind: "torn"; readonly file: string; readonly line: number };

/** The message says what is wrong with which file, and what to do. */
export class UnreadableJournal extends Error {}

/** @throws UnreadableJournal */
export async function* readJournal(path: string): AsyncGenerator<JournalItem> {
  for (const file of await filesOf(path)) yield* readFile(file);
}

/** For whoever shows how far a reader is. */
export async function journalBytes(path: string): Promise<number> {
  const sizes = await Promise.all((await filesOf(path)).map((file) => stat(file)));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch((cause: Error) => {
    throw new UnreadableJournal(`${path} cannot be read (${cause.message}). ${whereItLies}`, { cause });
  });
  if (!found.isDirectory()) return [path];
  const files = journalFiles(path).map((part) => part.path);
  if (files.length > 0) return files;
  throw new UnreadableJournal(`There is no journal in ${path}. ${whereItLies}`);
}

async function* readFile(file: string): AsyncGenerator<JournalItem> {
  let number = 0;
  /** Only the last line may be none, and which is the last is known at the next. */
  let torn: number | undefined;
  for await (const line of linesOf(file)) {
    if (torn !== undefined) throw damaged(file, torn);
    number++;
    const value = parsed(line);
    if (value === undefined) torn = number;
    else if (number === 1) yield { kind: "header", file, header: headerOf(file, value) };
    else yield { kind: "entry", file, line: number, entry: entryOf(file, number, value) };
  }
  if (torn !== undefined || number === 0) yield { kind: "torn", file, line: torn ?? 1 };
}

async function* linesOf(file: string): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
        begun.push(chunk.subarray(from, end));
        yield Buffer.concat(begun).toString();
        begun = [];
        from = end + 1;
      }
      if (from < chunk.length) begun.push(chunk.subarray(from));
    }
  } catch (cause) {
    const { message } = cause as Error;
    throw new UnreadableJournal(`${file} cannot be read (${message}). Check the disk.`, { cause });
  }
  if (begun.length > 0) yield Buffer.concat(begun).toString();
}

const newline = 10;

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    // Whether that is a mistake is for the caller to say.
    return undefined;
  }
}

function headerOf(file: string, value: object): Header {
  const { journal, snapshot } = value as Partial<Header>;
  if (journal === undefined || snapshot === undefined) throw noJournal(file);
  if (journal === formatVersion) return value as Header;
  const known = `this llorch reads version ${formatVersion}`;
  throw new UnreadableJournal(
    `${file} is a journal of version ${journal}, and ${known}. Take the llorch that wrote it.`,
  );
}

function entryOf(file: string, line: number, value: object): Entry {
  const { event, effects, threw } = value as Partial<Entry>;
  const isEvent = typeof event?.seq === "number" && typeof event.type === "string";
  if (isEvent && (Array.isArray(effects) || typeof threw === "string")) return value as Entry;
  throw damaged(file, line);
}

function damaged(file: string, line: number): UnreadableJournal {
  if (line === 1) return noJournal(file);
  return new UnreadableJournal(
    `Line ${line} of ${file} is no event with its effects: the file is damaged. Replay the others one by one.`,
  );
}

const noJournal = (file: string) =>
  new UnreadableJournal(`${file} does not begin as a journal does. ${whereItLies}`);

const whereItLies = "Name the folder journal of a data directory, or a file in it.";
