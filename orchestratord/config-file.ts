// The configuration file as a value: YAML or JSON, or one sentence that says where it cannot be read. What
// its keys mean is the contract's business.

import { readFileSync } from "node:fs";
import { OrchError } from "@llama-orch/contract";
import { type Document, type ErrorCode, parseDocument } from "yaml";

/**
 * JSON is read as YAML, whose subset it is, so that both report where a mistake stands.
 * @throws OrchError INVALID_PARAMS with a sentence for the operator
 */
export function readConfigFile(path: string): unknown {
  // Without stringKeys a key that is a list would be printed in a warning of the library's own.
  const text = readText(path);
  const document = parseDocument(text, { prettyErrors: false, stringKeys: true });
  const [mistake] = document.errors;
  if (mistake === undefined) return plainValue(document, path);
  const before = text.slice(0, mistake.pos[0]).split("\n");
  const where = `line ${before.length}, column ${(before.at(-1) as string).length + 1}`;
  throw unusable(`${path} is not valid YAML or JSON at ${where}: ${reasons[mistake.code]}.`);
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: "There is no such file",
  EISDIR: "It is a directory; name a YAML or JSON file in it",
  EACCES: "This user may not read it",
};

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw unusable(`${path} cannot be read. ${unreadable[code] ?? message}.`);
  }
}

function plainValue(document: Document.Parsed, path: string): unknown {
  try {
    return document.toJS();
  } catch {
    throw unusable(`${path} has an alias that is unknown or refers to too much.`);
  }
}

const unusable = (complaint: string) =>
  new OrchError("INVALID_PARAMS", `The configuration file ${complaint}`);

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
