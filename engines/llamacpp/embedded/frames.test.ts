import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { framesIn } from "./fixtures/started-engine.ts";
import { FrameWriter } from "./frames.ts";

const options = { promptTokens: 3, withTokens: true, pingS: 0 };

/** Both ends of one real exchange. */
async function exchange(t: TestContext): Promise<{ reader: IncomingMessage; writer: FrameWriter }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const call = request({ port: (server.address() as AddressInfo).port, agent: false }).end();
  const [, response] = (await once(server, "request")) as [IncomingMessage, ServerResponse];
  const writer = new FrameWriter(response, options);
  const [reader] = (await once(call, "response")) as [IncomingMessage];
  return { reader: reader.setEncoding("utf8"), writer };
}

test("headers come before the first token, the first token at once, and others that follow it together", async (t) => {
  const { reader, writer } = await exchange(t);
  const chunks: string[] = [];
  reader.on("data", (chunk: string) => chunks.push(chunk));
  writer.write(5, "a", 1);
  await once(reader, "data");
  for (let count = 2; count < 40; count++) writer.write(5, "b", count);
  writer.end({ stop: true, content: "", tokens: [] });
  await once(reader, "end");
  assert.equal(framesIn(chunks[0] as string).length, 1);
  assert.ok(chunks.length <= 4, `${chunks.length} chunks`);
  const frames = framesIn(chunks.join(""));
  assert.deepEqual(frames.map((frame) => frame.content).join(""), `a${"b".repeat(38)}`);
});

test("a reader that does not read makes the attempt wait, until it reads or goes", async (t) => {
  const { reader, writer } = await exchange(t);
  reader.pause();
  for (let count = 1; writer.full === undefined; count++) {
    writer.write(5, "x".repeat(100_000), count);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(count < 100_000, "it never asked to wait");
  }
  const waiting = writer.full;
  reader.resume();
  await waiting;
  assert.equal(writer.full, undefined);
  reader.pause();
  for (let count = 1; writer.full === undefined; count++) {
    writer.write(5, "x".repeat(100_000), count);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const left = writer.full;
  reader.destroy();
  await left;
  writer.close();
});
