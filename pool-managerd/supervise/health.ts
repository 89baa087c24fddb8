// One look at an engine's health, GET /health with most. It reads the status and nothing else, and opens a
// connection of its own, so that a poll tells about the engine and not about an old socket.

import { request } from "node:http";

/** `loading`: it answers 503, as llama-server does until its model is there. */
export type Health = "ready" | "loading" | "silent";

/** Silence on the connection for `timeoutMs`, like any other failure, is `silent`. */
export function pollHealth(url: URL, timeoutMs: number, signal: AbortSignal): Promise<Health> {
  return new Promise((resolve) => {
    const asked = request(url, { agent: false, timeout: timeoutMs, signal });
    asked.on("response", ({ statusCode }) => {
      asked.destroy();
      resolve(statusCode === 200 ? "ready" : statusCode === 503 ? "loading" : "silent");
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve("silent"));
    asked.on("close", () => resolve("silent"));
    asked.end();
  });
}
