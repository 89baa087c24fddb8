// Recordings of llama-server: what it answered to which request, byte for byte, one small file each. A
// recorder sits between a client and the real one and writes them; a player answers from them like the one
// that was recorded.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export interface Transcript {
  readonly name: string;
  /** The request it answers. */
  readonly key: string;
  /** The whole answer as it came from the socket. */
  readonly bytes: Buffer;
  /** Whether the client left while the answer was still coming. */
  readonly open: boolean;
}

export interface Listening {
  readonly url: string;
  stop(): Promise<void>;
}

/** In the order they were recorded. */
export function readTranscripts(folder: string): Transcript[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".http"));
  return names.sort().map((name) => {
    const [, key = "", open] = /^\d+-(.*?)(\.open)?\.http$/.exec(name) ?? [];
    return { name, key, bytes: readFileSync(`${folder}/${name}`), open: open !== undefined };
  });
}

/** A request that was made several times gets its answers in their order, and the last one ever after. */
export async function play(transcripts: readonly Transcript[]): Promise<Listening> {
  const answers = new Map<string, Transcript[]>();
  for (const transcript of transcripts) {
    answers.set(transcript.key, [...(answers.get(transcript.key) ?? []), transcript]);
  }
  return listen((socket) => {
    eachRequest(socket, (key) => {
      const list = answers.get(key) ?? [];
      const answer = list.length > 1 ? list.shift() : list[0];
      if (answer === undefined) return void socket.destroy();
      socket.write(answer.bytes);
      if (!answer.open && isLast(answer.bytes)) socket.end();
    });
  });
}

/** Passes everything on to `url`, and keeps what comes back. */
export async function record(url: string, folder: string): Promise<Listening> {
  const { hostname, port } = new URL(url);
  let count = 0;
  return listen((socket) => {
    const upstream = connect(Number(port), hostname);
    let current: { key: string; pieces: Buffer[] } | undefined;
    const keep = (open: boolean) => {
      if (current === undefined || current.pieces.length === 0) return;
      count += 1;
      const name = `${String(count).padStart(3, "0")}-${current.key}${open ? ".open" : ""}.http`;
      writeFileSync(`${folder}/${name}`, Buffer.concat(current.pieces));
      current = undefined;
    };
    eachRequest(socket, (key) => {
      keep(false);
      current = { key, pieces: [] };
    });
    socket.on("data", (piece) => upstream.write(piece));
    upstream.on("data", (piece) => {
      current?.pieces.push(piece);
      socket.write(piece);
    });
    upstream.on("end", () => {
      keep(false);
      socket.end();
    });
    socket.on("close", () => {
      keep(!isWhole(current?.pieces));
      upstream.destroy();
    });
    // The client's way of leaving; what came before is kept.
    upstream.on("error", () => socket.destroy());
  });
}

export async function listen(serve: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    // A client that resets its connection is one that left.
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Names each request by its method, its path and a digest of its body. */
export function eachRequest(socket: Socket, seen: (key: string, body: string) => void): void {
  let unread = Buffer.alloc(0);
  socket.on("data", (piece: Buffer) => {
    unread = Buffer.concat([unread, piece]);
    for (;;) {
      const headEnd = unread.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const head = unread.subarray(0, headEnd).toString("latin1");
      const bodyBytes = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      const end = headEnd + 4 + bodyBytes;
      if (unread.length < end) return;
      const body = unread.subarray(headEnd + 4, end).toString("utf8");
      unread = unread.subarray(end);
      seen(keyOf(head, body), body);
    }
  });
}

function keyOf(head: string, body: string): string {
  const [method = "", path = ""] = head.split(" ");
  const digest = createHash("sha256").update(body).digest("hex").slice(0, 8);
  return `${method.toLowerCase()}${path.replaceAll("/", "-")}-${digest}`;
}

/** llama-server closes behind every stream, and behind an answer that says so. */
function isLast(bytes: Buffer): boolean {
  const head = bytes.subarray(0, bytes.indexOf("\r\n\r\n")).toString("latin1");
  return /text\/event-stream|connection: close/i.test(head);
}

function isWhole(pieces: readonly Buffer[] = []): boolean {
  const bytes = Buffer.concat(pieces);
  const headEnd = bytes.indexOf("\r\n\r\n");
  const length = /content-length: (\d+)/i.exec(
    bytes.subarray(0, Math.max(0, headEnd)).toString("latin1"),
  )?.[1];
  if (length !== undefined) return bytes.length >= headEnd + 4 + Number(length);
  // A client may leave on the last frame, before the end of the body that says nothing more.
  return bytes.includes('"stop":true');
}
