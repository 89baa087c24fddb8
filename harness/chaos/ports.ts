// A port for a daemon that is to come back at the same address: one that the kernel gives to nobody by
// itself, so that no connection of ours sits on it while the daemon is down.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const leastPort = 10_240;
const triesMax = 50;

export async function lastingPort(): Promise<number> {
  const end = firstOfKernel();
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = leastPort + Math.floor(Math.random() * (end - leastPort));
    if (await isFree(port)) return port;
  }
  throw new Error(`None of ${triesMax} ports below ${end} is free.`);
}

/** From here on the kernel gives ports to whoever asks for any. */
function firstOfKernel(): number {
  return Number(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/)[0]);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    // Somebody listens there.
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
