// Frames as a transcript holds them: canonical JSON, made of the text of the frames. Tokens are cut out of it
// and put together again without being parsed, since every task ends with all of its own. What stands in a
// frame is the business of frame-text.ts; it must be read together with this file.

import { canonicalJson } from "@llama-orch/contract";

/** Frames that we wrote ourselves as the events of a transcript, a comma behind each. */
export function canonicalEvents(text: string, atMs: number): string {
  const tokenTail = `,"ts_ms":${atMs},"type":"token"},`;
  let events = "";
  for (let at = 0; at < text.length; ) {
    const eventAt = text.startsWith("id: ", at) ? text.indexOf("\n", at) + 1 : at;
    const isToken = text.startsWith(tokenHead, eventAt);
    const dataAt = isToken ? eventAt + tokenHead.length : text.indexOf("\n", eventAt) + "\ndata: ".length;
    const dataEnd = text.indexOf("\n", dataAt);
    if (!isToken) {
      const event = text.slice(eventAt + "event: ".length, dataAt - "\ndata: ".length);
      events += `${eventText(event, canonicalJson(JSON.parse(text.slice(dataAt, dataEnd))), atMs)},`;
    } else if (text.charCodeAt(dataEnd - 2) === bracket) {
      events += `{"data":${canonicalBatch(text, dataAt, dataEnd)}${tokenTail}`;
    } else {
      // The id begins with the index, so that its end in the data is known without looking for it.
      const index = text.slice(at + "id: ".length, eventAt - "-01234567\n".length);
      const textEnd = dataEnd - index.length - ',"i":}'.length;
      events += `{"data":{"i":${index},"t":${text.slice(dataAt + '{"t":'.length, textEnd)}}${tokenTail}`;
    }
    at = dataEnd + 2;
  }
  return events;
}

const tokenHead = "event: token\ndata: ";

/** One event of a transcript; `data` is canonical JSON. */
export function eventText(type: string, data: string, atMs: number): string {
  return `{"data":${data},"ts_ms":${atMs},"type":"${type}"}`;
}

/** What `batchText` wrote of several tokens, the keys in the other order. */
function canonicalBatch(text: string, from: number, to: number): string {
  const head = turned(text, from);
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
const bracket = 93;
const isDigit = (code: number): boolean => code >= 48 && code <= 57;
