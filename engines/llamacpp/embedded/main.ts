// The embedded engine: llama.cpp inside a Node process, spoken to as if it were llama-server. It listens
// before the model is loaded, and leaves as soon as its parent does.

import { fstatSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type EmbeddedConfig, readConfig } from "./config.ts";
import { createEngineServer, type Routes } from "./http.ts";
import { messageOf } from "./refusal.ts";
import type { Slots } from "./slots.ts";

/** How long streams that were cut may take to finish their token. */
const stopMs = 800;

let routes: Routes | undefined;
let slots: Slots | undefined;

const config = configOrExit();
const server = createEngineServer(config.apiKeys, () => routes);
leaveWithParent(server);
await listen(server, config);
try {
  const { openApplication } = await import("./application.ts");
  ({ routes, slots } = await openApplication(config));
} catch (error) {
  leave(messageOf(error), "exiting due to model loading error");
}

function configOrExit(): EmbeddedConfig {
  try {
    // tidy: environment: this is a program of its own, and it reads both only here
    return readConfig(process.argv.slice(2), process.env);
  } catch (error) {
    leave(messageOf(error));
  }
}

async function listen(server: Server, { address, port }: EmbeddedConfig): Promise<void> {
  await new Promise<void>((resolve) => {
    server.once("error", (error) => leave(error.message, "exiting due to HTTP server error"));
    server.listen(port, address, resolve);
  });
  const { address: bound, port: chosen, family } = server.address() as AddressInfo;
  console.error(`listening on http://${family === "IPv6" ? `[${bound}]` : bound}:${chosen}`);
}

/** Stops politely on a signal, and when the parent's end of the IPC channel or of stdin closes. */
function leaveWithParent(server: Server): void {
  let isStopping = false;
  const stop = () => {
    if (!isStopping) void stopServing(server);
    isStopping = true;
  };
  // Not once: a library that finds no listener but its own would send the signal again, to kill.
  process.on("SIGTERM", stop).on("SIGINT", stop).on("disconnect", stop);
  // A terminal or /dev/null says nothing about a parent; a pipe does.
  const stdin = fstatSync(0, { throwIfNoEntry: false });
  if (stdin?.isFIFO() || stdin?.isSocket()) process.stdin.once("end", stop).once("error", stop).resume();
}

async function stopServing(server: Server): Promise<never> {
  server.close();
  server.closeAllConnections();
  const giveUpAt = performance.now() + stopMs;
  while ((slots?.busy ?? 0) > 0 && performance.now() < giveUpAt) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  process.exit(0);
}

function leave(...sentences: readonly string[]): never {
  for (const sentence of sentences) console.error(sentence);
  process.exit(1);
}
