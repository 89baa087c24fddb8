// What a server answers on a connection that carries this answer and nothing else: the status, and the body
// without its framing, out of bytes that are cut anywhere. Engines frame every token as a chunk of its own;
// here one read of the socket is one call, however many chunks it holds, where Node's client would make an
// event of each. It does no I/O, keeps no field of the head, and reads no second answer.

/** A line, of the head or between chunks, is no longer; and the head has no more of them. */
const lineBytesMax = 16 * 1024;
const linesMax = 256;

const newline = 10;

type Expected = "status" | "field" | "size" | "gap" | "trailer" | "body" | "nothing";

export class AnswerReader {
  /** 0 until the head is read. */
  status = 0;
  readonly #onPiece: (piece: Buffer) => void;
  #expected: Expected = "status";
  #statusRead = 0;
  #isChunked = false;
  #length: number | undefined;
  /** Of a line whose end has not come yet. */
  #line = "";
  #lines = 0;
  /** Of the body, or of this chunk. */
  #left = 0;

  /** @param onPiece gets the body, in pieces that share the memory of what was read */
  constructor(onPiece: (piece: Buffer) => void) {
    this.#onPiece = onPiece;
  }

  get isOver(): boolean {
    return this.#expected === "nothing";
  }

  /**
   * What stands behind the answer is nobody's.
   * @throws Error for what is no answer of HTTP/1
   */
  read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.isOver; ) {
      if (this.#expected === "body") {
        const end = Math.min(bytes.length, at + this.#left);
        this.#onPiece(bytes.subarray(at, end));
        this.#left -= end - at;
        if (this.#left === 0) this.#expected = this.#isChunked ? "gap" : "nothing";
        at = end;
      } else {
        at = this.#readLine(bytes, at);
      }
    }
  }

  /**
   * The other side has said its last.
   * @throws Error when more was announced
   */
  end(): void {
    if (this.#expected === "body" && this.#left === Number.POSITIVE_INFINITY) this.#expected = "nothing";
    if (!this.isOver) throw new Error("it was closed before its end");
  }

  #readLine(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(newline, at);
    this.#line += bytes.toString("latin1", at, end < 0 ? bytes.length : end);
    if (this.#line.length > lineBytesMax) throw unreadable(this.#line);
    if (end < 0) return bytes.length;
    const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
    this.#line = "";
    this.#take(line);
    return end + 1;
  }

  #take(line: string): void {
    switch (this.#expected) {
      case "size":
        return this.#chunk(line);
      case "gap":
        if (line !== "") throw unreadable(line);
        this.#expected = "size";
        return;
      case "status":
        return this.#begin(line);
      default:
        if (++this.#lines > linesMax) throw unreadable(line);
        if (line !== "") this.#field(line);
        else if (this.#expected === "trailer") this.#expected = "nothing";
        else this.#headRead();
    }
  }

  #begin(line: string): void {
    const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(line)?.[1];
    // Nobody has asked for another protocol.
    if (status === undefined || status === "101") throw unreadable(line);
    this.#statusRead = Number(status);
    this.#isChunked = false;
    this.#length = undefined;
    this.#expected = "field";
  }

  #field(line: string): void {
    const [, name, value] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw unreadable(line);
    if (this.#expected === "trailer") return;
    switch (name.toLowerCase()) {
      case "transfer-encoding":
        if (value.toLowerCase() !== "chunked") throw unreadable(line);
        this.#isChunked = true;
        break;
      case "content-length": {
        const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
        if (length < 0 || (this.#length ?? length) !== length) throw unreadable(line);
        this.#length = length;
        break;
      }
      default:
    }
  }

  #headRead(): void {
    if (this.#statusRead < 200) {
      // It only says that the answer is on its way.
      this.#expected = "status";
      return;
    }
    this.status = this.#statusRead;
    const hasNoBody = this.status === 204 || this.status === 304;
    if (hasNoBody || (this.#length === 0 && !this.#isChunked)) this.#expected = "nothing";
    else if (this.#isChunked) this.#expected = "size";
    else this.#body(this.#length ?? Number.POSITIVE_INFINITY);
  }

  #chunk(line: string): void {
    const size = /^([0-9a-f]{1,12})[ \t]*(?:;|$)/i.exec(line)?.[1];
    if (size === undefined) throw unreadable(line);
    const bytes = Number.parseInt(size, 16);
    if (bytes > 0) return this.#body(bytes);
    this.#lines = 0;
    this.#expected = "trailer";
  }

  #body(bytes: number): void {
    this.#left = bytes;
    this.#expected = "body";
  }
}

/** A server may repeat in its answer what it was asked with, so no more than the start is told. */
function unreadable(line: string): Error {
  return new Error(`no HTTP: ${JSON.stringify(line.slice(0, 40))}`);
}
