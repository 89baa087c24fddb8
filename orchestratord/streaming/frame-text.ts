// The text of a frame, byte for byte. Fields stand in the order of the contract and nested values are
// canonical, so that a frame read back from a stored transcript has the bytes it had when it was first sent.

import { canonicalJson, type FrameName, frames, frameText, type TokenFrame } from "@llama-orch/contract";

type Piece = Pick<TokenFrame, "t" | "i">;

const orders = new Map(Object.entries(frames).map(([name, shape]) => [name, Object.keys(shape.properties)]));

/** One line of JSON. Fields that the contract does not know follow at the end, sorted. */
export function frameData(event: FrameName, frame: object): string {
  const order = orders.get(event) as string[];
  const extra = Object.keys(frame).filter((key) => !order.includes(key));
  const fields: string[] = [];
  for (const key of extra.length === 0 ? order : [...order, ...extra.sort()]) {
    const value = (frame as Record<string, unknown>)[key];
    if (value !== undefined) fields.push(`${JSON.stringify(key)}:${canonicalJson(value)}`);
  }
  return `{${fields.join(",")}}`;
}

/**
 * `text` is well formed: JSON would write a lone surrogate as an escape that the digest does not mean. It is
 * `frameText` of `pieceText` in one template: the strings between took a quarter of the time.
 */
export function tokenText(index: number, text: string, digest: string): string {
  return `id: ${index}-${digest}\nevent: token\ndata: {"t":${jsonText(text)},"i":${index}}\n\n`;
}

/** Several tokens in one frame; its id is that of the last one. */
export function batchText(pieces: readonly Piece[], digest: string): string {
  const [first, ...others] = pieces as [Piece, ...Piece[]];
  if (others.length === 0) return tokenText(first.i, first.t, digest);
  const batch = pieces.map(({ t, i }) => pieceText(t, i)).join(",");
  const head = pieceText(first.t, first.i).slice(0, -1);
  return frameText("token", `${head},"batch":[${batch}]}`, `${first.i + others.length}-${digest}`);
}

const pieceText = (text: string, index: number): string => `{"t":${jsonText(text)},"i":${index}}`;

const jsonText = (text: string): string => (isPlain(text) ? `"${text}"` : JSON.stringify(text));

/** JSON escapes nothing in it. So it is with most tokens, and seeing it takes a quarter of JSON.stringify. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code === quote || code === backslash) return false;
  }
  return true;
}

const quote = 34;
const backslash = 92;

export interface ReadFrame {
  readonly event: FrameName;
  readonly data: Record<string, unknown>;
  /** Of a token frame: the index of its last token, and the digest after it. */
  readonly index?: number;
  readonly digest?: string;
  /** Where the frame ends in the text it was read from. */
  readonly end: number;
}

/** Reads frames that we wrote ourselves; anything else is a bug. */
export function* readFrames(text: string): Generator<ReadFrame> {
  for (let at = 0; at < text.length; ) {
    const hasId = text.startsWith("id: ", at);
    const eventAt = hasId ? text.indexOf("\n", at) + 1 : at;
    const dataAt = text.indexOf("\n", eventAt) + 1;
    const dataEnd = text.indexOf("\n", dataAt);
    const event = text.slice(eventAt + "event: ".length, dataAt - 1) as FrameName;
    const data = JSON.parse(text.slice(dataAt + "data: ".length, dataEnd)) as Record<string, unknown>;
    const end = dataEnd + 2;
    if (event === "token") {
      const [index, digest] = text.slice(at + "id: ".length, eventAt - 1).split("-");
      yield { event, data, index: Number(index), digest: digest as string, end };
    } else yield { event, data, end };
    at = end;
  }
}

/** The tokens of a token frame, one or many. */
export function piecesOf(data: Record<string, unknown>): readonly Piece[] {
  const frame = data as TokenFrame;
  return frame.batch ?? [{ t: frame.t, i: frame.i }];
}

/** What a reader gets that did not ask for `verbose`. */
export function plainMetrics(frame: object): object {
  const { human: _human, prep: _prep, ...plain } = frame as Record<string, unknown>;
  return plain;
}
