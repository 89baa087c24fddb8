// The door to the fake engine for tests, benches and chaos: in this process, or as a program of its own that
// can be killed like a real one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { FakeFacts } from "./facts.ts";
import { fakeFacts } from "./facts.ts";
import { FakeServer } from "./fake-server.ts";
import type { FakeFaults } from "./faults.ts";

export type { FakeFacts, FakeFaults };

export interface StartedFake {
  readonly url: string;
  /** Of its process; absent when it runs in this one. */
  readonly pid?: number;
  /** Replaces the faults of now; no argument heals. */
  faults(faults?: FakeFaults): Promise<void>;
  /** Connections that are open are cut. */
  stop(): Promise<void>;
}

/** @param port the one of a fake that was stopped, to come back as the same server */
export async function startFake(facts: Partial<FakeFacts> = {}, port = 0): Promise<StartedFake> {
  const server = new FakeServer({ ...fakeFacts, ...facts });
  const url = await server.listen(port);
  return {
    url,
    faults: async (faults = {}) => server.faults.set(faults),
    stop: () => server.close(),
  };
}

/** It ends with this process, however this one ends. `port`: where another one was killed before; 0: any. */
export async function spawnFake(facts: Partial<FakeFacts> = {}, port = 0): Promise<StartedFake> {
  const program = `${import.meta.dirname}/fake.ts`;
  const child = spawn(process.execPath, [program, "--port", String(port), ...flagsOf(facts)], {
    stdio: ["pipe", "ignore", "pipe"],
  });
  const exited = once(child, "exit");
  const said: string[] = [];
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    url = /listening on (\S+)/.exec(line)?.[1];
    if (url !== undefined) break;
  }
  if (url === undefined) throw new Error(`The fake engine did not start: ${said.join("\n")}`);
  child.stderr.resume();
  const address = url;
  return {
    url: address,
    ...(child.pid !== undefined && { pid: child.pid }),
    async faults(faults = {}) {
      const answer = await fetch(`${address}/faults`, { method: "POST", body: JSON.stringify(faults) });
      if (!answer.ok) throw new Error(await answer.text());
    },
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function flagsOf(facts: Partial<FakeFacts>): string[] {
  return Object.entries(facts).flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    Array.isArray(value) ? value.join(",") : String(value),
  ]);
}
