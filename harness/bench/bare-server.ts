// The bare baseline of admission: node:http alone, which parses each request as JSON and answers with an
// admission of the same shape. It decides nothing and keeps nothing.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { task_id } = JSON.parse(Buffer.concat(chunks).toString());
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
  });
});
server.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
