// A connection of a client that costs nearly nothing, so that the server is what is measured: one request at
// a time, and of an answer only as much is read as tells where it ends.

import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** Head and body as they came, framing included. */
  readonly text: string;
}

export class Line {
  readonly #socket: Socket;
  #pending: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  #text = "";
  /** Where the answer ends, or how, once its head is there. */
  #end: number | "last chunk" | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", (error) => this.#pending?.reject(error));
    socket.on("close", () => this.#pending?.reject(new Error("The server closed a connection under load.")));
  }

  static open(url: string): Promise<Line> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(new Line(socket)));
      socket.once("error", reject);
    });
  }

  ask(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#pending = undefined;
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#text += bytes.toString("latin1");
    this.#end ??= endOf(this.#text);
    if (this.#end === undefined) return;
    const isWhole =
      this.#end === "last chunk" ? this.#text.endsWith("\r\n0\r\n\r\n") : this.#text.length >= this.#end;
    if (!isWhole) return;
    const text = this.#text;
    const pending = this.#pending;
    this.#text = "";
    this.#end = undefined;
    this.#pending = undefined;
    pending?.resolve({ status: Number(text.slice(9, 12)), text });
  }
}

function endOf(text: string): number | "last chunk" | undefined {
  const headEnd = text.indexOf("\r\n\r\n") + 4;
  if (headEnd < 4) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1];
  return length === undefined ? "last chunk" : headEnd + Number(length);
}

export function postRequest(url: string, path: string, body: string): string {
  const { host } = new URL(url);
  const head =
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return head + body;
}

export function getRequest(url: string, path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`;
}
