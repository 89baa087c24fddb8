// The bare baseline of the relay: for each GET it asks the engine for tokens, takes its frames apart and
// hands each on as a frame of ours. No index, no digest, no memory, no second reader.

import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

const engines = process.argv.slice(2);
if (engines.length === 0) throw new Error("Usage: minimal-relay.ts URL-OF-AN-ENGINE…; GET /N asks the Nth.");

const server = createServer((asked, response) => {
  const { pathname, searchParams } = new URL(asked.url ?? "/", "http://relay");
  const tokens = Number(searchParams.get("tokens"));
  const engine = engines[Number(pathname.slice(1))];
  const body = JSON.stringify({
    prompt: "Write a haiku.",
    n_predict: tokens,
    stream: true,
    return_tokens: true,
    seed: 7,
  });
  const headers = { "Content-Type": "application/json", "Content-Length": body.length };
  const upstream = request(`${engine}/completion`, { method: "POST", headers, agent: false }, (source) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    let rest = "";
    let index = 0;
    source.setEncoding("utf8");
    source.on("data", (chunk: string) => {
      const frames = (rest + chunk).split("\n\n");
      rest = frames.pop() as string;
      let text = "";
      for (const frame of frames) {
        const { content, stop } = JSON.parse(frame.slice("data: ".length));
        if (stop === true) text += "event: end\ndata: {}\n\n";
        else text += `event: token\ndata: ${JSON.stringify({ t: content, i: index++ })}\n\n`;
      }
      if (text !== "") response.write(text);
    });
    source.on("end", () => response.end());
  });
  upstream.end(body);
});
server.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
