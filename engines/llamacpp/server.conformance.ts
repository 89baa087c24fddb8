// `npm run conformance -- --llama-server PATH [--model PATH] [--record FOLDER]`: holds a real llama-server
// against the law of the adapter. With --record what it answers is kept, for the tests that have no
// llama-server.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename, dirname, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { adapterConformance } from "../adapter.conformance.ts";
import { haikuFacts } from "./haiku.conformance.ts";
import { record } from "./transcript.conformance.ts";

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { "llama-server": text, model: text, record: text } });
const given = values["llama-server"];
if (given === undefined) {
  console.error("Say which one: npm run conformance -- --llama-server PATH [--model PATH] [--record FOLDER]");
  process.exit(2);
}
const program = resolve(given);
const model = resolve(values.model ?? `${import.meta.dirname}/../../models/haiku/haiku.gguf`);

adapterConformance({
  name: `the llamacpp adapter on llama-server with ${basename(model)}`,
  async start() {
    const server = await startServer(program, model);
    const recorder = values.record === undefined ? undefined : await record(server.url, values.record);
    return {
      address: { engine: "llamacpp", url: recorder?.url ?? server.url },
      facts: haikuFacts,
      async stop() {
        await recorder?.stop();
        await server.stop();
      },
    };
  },
});

/** In the profile in which it is exact to the last byte. */
async function startServer(path: string, gguf: string) {
  const { ctxMax, slots } = haikuFacts;
  const flags = `--host 127.0.0.1 --port 0 -c ${ctxMax} -np ${slots} --no-kv-unified --cache-ram 0
    --no-cache-idle-slots -fit off --no-ui --log-colors off --offline --slots -t 1`;
  // By its name alone, since the server tells its path to whoever asks.
  const child = spawn(path, ["-m", basename(gguf), "-a", "conformance", ...flags.split(/\s+/)], {
    cwd: dirname(gguf),
    stdio: ["ignore", "ignore", "pipe"],
    env: {},
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const exited = once(child, "exit");
  const said: string[] = [];
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    url = /listening on (http\S+)/.exec(line)?.[1];
    if (url !== undefined) break;
  }
  if (url === undefined) throw new Error(`${path} did not start:\n${said.slice(-5).join("\n")}`);
  child.stderr.resume();
  return {
    url,
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
