// The fake engine as a program: `node engines/fake/fake.ts --port 0 --slots 4`. It says where it listens on
// stderr, as llama-server does, and leaves when its input closes, so that it never outlives who started it.

import { parseArgs } from "node:util";
import { type FakeFacts, fakeFacts } from "./facts.ts";
import { FakeServer } from "./fake-server.ts";

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: {
    port: { ...text, default: "8080" },
    slots: text,
    ctx: text,
    alias: text,
    "api-key": text,
    "build-info": text,
    "model-digest": text,
    "compute-fingerprint": text,
    compute: text,
    quant: text,
    features: text,
    "tokens-per-second": text,
    "frames-per-write": text,
    "mean-tokens": text,
    "loading-ms": text,
  },
});

const { port, ...given } = values;
const server = new FakeServer({ ...fakeFacts, ...factsIn(given) });
const url = await server.listen(Number(port));
console.error(`srv  llama_server: listening on ${url}`);
process.stdin.once("end", () => process.exit(0)).resume();

/** The flags carry the names of the facts; a number stays one. */
function factsIn(flags: Readonly<Record<string, string | undefined>>): Partial<FakeFacts> {
  const facts = Object.entries(flags).map(([flag, value = ""]) => {
    const name = flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (name === "features") return [name, value.split(",")];
    const isNumber = typeof fakeFacts[name as keyof FakeFacts] === "number" || name === "tokensPerSecond";
    return [name, isNumber ? Number(value) : value];
  });
  return Object.fromEntries(facts) as Partial<FakeFacts>;
}
