// The bare baseline of admission: node:http alone. It parses each POST as JSON and answers with an admission
// of the same shape; a GET gets a stream of as many tokens as ours would have. It decides nothing, asks no
// engine and keeps nothing.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const tokens = 16;

const server = createServer((request, response) => {
  if (request.method === "GET") return stream(response);
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => admit(JSON.parse(Buffer.concat(chunks).toString()), response));
});

function admit({ task_id }: { task_id: string }, response: ServerResponse<IncomingMessage>): void {
  const body = JSON.stringify({
    task_id,
    job_id: randomUUID(),
    queue_position: 0,
    predicted_start_ms: 0,
    backoff_ms: 0,
    streams: {
      sse: `/v1/tasks/${task_id}/stream`,
      sse_verbose: `/v1/tasks/${task_id}/stream?verbose=true`,
    },
    preparation: { steps: [] },
  });
  response.writeHead(202, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

function stream(response: ServerResponse<IncomingMessage>): void {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  for (let i = 0; i < tokens; i++) {
    response.write(`id: ${i}\nevent: token\ndata: ${JSON.stringify({ t: " word", i })}\n\n`);
  }
  response.end(`event: end\ndata: ${JSON.stringify({ tokens_out: tokens })}\n\n`);
}

server.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
