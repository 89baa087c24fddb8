// Frames as a transcript holds them: canonical JSON, made of the text of the frames. Tokens are cut out of it
// and put together again without being parsed, since every task ends with all of its own. What stands in a
// frame is the business of frame-text.ts; it must be read together with this file.

import { canonicalJson } from "@llama-orch/contract";

/** Frames that we wrote ourselves as the events of a transcript, a comma behind each. */
export function canonicalEvents(text: string, atMs: number): string {
  let events = "";
  for (let at = 0; at < text.length; ) {
    const eventAt = text.startsWith("id: ", at) ? text.indexOf("\n", at) + 1 : at;
    const dataAt = text.indexOf("\n", eventAt) + 1 + "data: ".length;
    const dataEnd = text.indexOf("\n", dataAt);
    const event = text.slice(eventAt + "event: ".length, dataAt - 1 - "data: ".length);
    const data =
      event === "token"
        ? canonicalToken(text, dataAt, dataEnd)
        : canonicalJson(JSON.parse(text.slice(dataAt, dataEnd)));
    events += `${eventText(event, data, atMs)},`;
    at = dataEnd + 2;
  }
  return events;
}

/** One event of a transcript; `data` is canonical JSON. */
export function eventText(type: string, data: string, atMs: number): string {
  return `{"data":${data},"ts_ms":${atMs},"type":"${type}"}`;
}

/** What `pieceText` and `batchText` wrote, its keys in the other order. */
function canonicalToken(text: string, from: number, to: number): string {
  const head = turned(text, from);
  if (head.end + "}".length === to) return `{${head.fields}}`;
  let batch = "";
  for (let at = head.end + ',"batch":['.length; at < to - "]}".length; ) {
    const piece = turned(text, at);
    batch += `${batch === "" ? "" : ","}{${piece.fields}}`;
    at = piece.end + "},".length;
  }
  return `{"batch":[${batch}],${head.fields}}`;
}

/** `{"t":…,"i":…` with its fields the other way round, and where it ended. */
function turned(text: string, at: number): { readonly fields: string; readonly end: number } {
  const textAt = at + '{"t":'.length;
  const textEnd = stringEnd(text, textAt);
  const indexAt = textEnd + ',"i":'.length;
  let indexEnd = indexAt;
  while (isDigit(text.charCodeAt(indexEnd))) indexEnd++;
  return {
    fields: `"i":${text.slice(indexAt, indexEnd)},"t":${text.slice(textAt, textEnd)}`,
    end: indexEnd,
  };
}

/** Behind the closing quote: the first one that is not escaped. */
function stringEnd(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); ; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1;
    while (text.charCodeAt(before) === backslash) before--;
    // An even number of backslashes are escaped themselves. The opening quote stops the count.
    if ((quote - before) % 2 === 1) return quote + 1;
  }
}

const backslash = 92;
const isDigit = (code: number): boolean => code >= 48 && code <= 57;
