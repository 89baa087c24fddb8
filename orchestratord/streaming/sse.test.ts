import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { test } from "node:test";
import { parseFrameId, type StreamPosition } from "@llama-orch/contract";
import { endFrame, type Stage, staged, startedFrame, TestSink, texts } from "./fixtures/stage.ts";
import { responseSink } from "./sse.ts";
import type { TaskStream } from "./task-stream.ts";

/** As the stream route does it, without its headers. */
async function served(stream: TaskStream, use: (port: number) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    const id = request.headers["last-event-id"];
    const position = id === undefined ? undefined : (parseFrameId(String(id)) as StreamPosition);
    const reader = stream.follow(position, responseSink(response), { verbose: false });
    response.once("close", () => reader.close());
    response.flushHeaders();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    await closed(server);
  }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** Reads until the stream ends, or until so many characters have come; then the connection is cut. */
async function read(port: number, lastId: string | undefined, cutAfter: number): Promise<string> {
  const headers = lastId === undefined ? {} : { "last-event-id": lastId };
  const [response] = (await once(get({ port, host: "127.0.0.1", headers }), "response")) as [IncomingMessage];
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response) {
    text += chunk;
    if (text.length >= cutAfter) break;
  }
  return text;
}

async function readCut(port: number, cuts: readonly number[]): Promise<string> {
  let kept = "";
  for (const cutAfter of [...cuts, Number.POSITIVE_INFINITY]) {
    const lastId = [...kept.matchAll(/^id: (.*)$/gm)].at(-1)?.[1];
    if (lastId === "end") break;
    if (lastId === undefined) kept = "";
    const text = (await read(port, lastId, cutAfter)).slice(0, cutAfter);
    const frames = text.split(/(?<=\n\n)/).filter((frame) => frame.endsWith("\n\n"));
    kept += frames.join("");
  }
  return kept;
}

test(
  "a client that is cut ten times in the middle of a stream ends with the bytes of one that was not",
  staged(async ({ open }: Stage) => {
    const stream = open({ ringBytes: 2000 });
    const whole = new TestSink();
    stream.follow(undefined, whole, { verbose: false });
    stream.started(startedFrame);
    const cuts = Array.from({ length: 10 }, (_, n) => 300 + 97 * n);
    await served(stream, async (port) => {
      for (let n = 0; n < 50; n++) stream.tokens(texts(`${n}`, " Vögel \u{1f426} "));
      const reading = readCut(port, cuts);
      for (let n = 0; n < 50; n++) {
        stream.tokens(texts("and", " on\n\n"));
        await new Promise((resolve) => setImmediate(resolve));
      }
      stream.end(endFrame);
      assert.equal(await reading, whole.text);
    });
    assert.equal(stream.readers, 0);
  }),
);

test(
  "a client that never reads costs what its socket holds, is dropped, and leaves no reader",
  staged(async ({ open, clock, readers }: Stage) => {
    const stream = open();
    stream.started(startedFrame);
    await served(stream, async (port) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {
        // The server resets it, which is the point.
      });
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      socket.pause();
      while (readers.length === 0) await new Promise((resolve) => setImmediate(resolve));
      const batch = texts("x".repeat(1000));
      for (let n = 0; n < 20_000; n++) stream.tokens(batch);
      assert.ok(stream.bytesInMemory <= 70_000);
      const gone = once(socket, "close");
      clock.advance(31_000);
      socket.resume();
      await gone;
      assert.deepEqual(readers, [1, 0]);
    });
  }),
);

test(
  "more than a socket takes at once arrives whole, at the pace of the client",
  staged(async ({ open }: Stage) => {
    const stream = open();
    const whole = new TestSink();
    stream.follow(undefined, whole, { verbose: false });
    stream.started(startedFrame);
    await served(stream, async (port) => {
      const reading = read(port, undefined, Number.POSITIVE_INFINITY);
      while (stream.readers < 2) await new Promise((resolve) => setImmediate(resolve));
      for (let n = 0; n < 500; n++) stream.tokens(texts("x".repeat(1000)));
      stream.end(endFrame);
      assert.ok((await reading) === whole.text);
    });
  }),
);
