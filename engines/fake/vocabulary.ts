// The tokens of the fake engine: four control tokens, a byte each for whatever is no word, and words made of
// two syllables. Every text is made of them in exactly one way, and ids give back exactly the text.

export const eosId = 0;
const bosId = 1;
const controls = ["<eos>", "<bos>", "<user>", "<assistant>"];
const firstByteId = controls.length;
const firstWordId = firstByteId + 256;

const syllables =
  "ba be bo da de do fa fe ga ge ha he ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe ra re ri ro sa se si so ta te ti to va wi".split(
    " ",
  );
const words = syllables.flatMap((first) => syllables.map((second) => ` ${first}${second}`));
const marks = [",", "."];
const pieces = [...words, ...marks];
const idOf = new Map(pieces.map((piece, index) => [piece, firstWordId + index]));

export const vocabulary = firstWordId + pieces.length;

/** The text of a word or a mark as JSON shows it; ids below are not drawn. */
export function pieceOf(id: number): string {
  return pieces[id - firstWordId] ?? "";
}

/** A word, or now and then a mark, for 32 random bits. */
export function idFor(bits: number): number {
  const rest = bits >>> 4;
  if ((bits & 15) === 0) return firstWordId + words.length + (rest % marks.length);
  return firstWordId + (rest % words.length);
}

export function tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): number[] {
  const ids = addSpecial ? [bosId] : [];
  const pattern = parseSpecial ? /<(?:eos|bos|user|assistant)>| ?[a-z]+|[,.]|.|\s/gu : / ?[a-z]+|[,.]|.|\s/gu;
  for (const [piece] of text.matchAll(pattern)) {
    const control = parseSpecial ? controls.indexOf(piece) : -1;
    const id = control >= 0 ? control : idOf.get(piece);
    if (id !== undefined) ids.push(id);
    else for (const byte of Buffer.from(piece)) ids.push(firstByteId + byte);
  }
  return ids;
}

export function bytesOf(id: number): Uint8Array {
  if (id < firstByteId) return Buffer.from(controls[id] ?? "");
  if (id < firstWordId) return Uint8Array.of(id - firstByteId);
  return Buffer.from(pieceOf(id));
}

export function detokenize(ids: readonly number[]): string {
  return Buffer.concat(ids.map(bytesOf)).toString("utf8");
}

export function renderMessages(messages: readonly { role: string; content: string }[]): string {
  const turns = messages.map(({ role, content }) => `<${role === "assistant" ? role : "user"}>${content}`);
  return `${turns.join("")}<assistant>`;
}
