import { adapterConformance } from "../../adapter.conformance.ts";
import { haikuFacts } from "../haiku.conformance.ts";
import { startReadyEngine } from "./fixtures/started-engine.ts";

adapterConformance({
  name: "the llamacpp adapter on the embedded engine",
  async start() {
    const flags = ["--slots", `${haikuFacts.slots}`, "--ctx", `${haikuFacts.ctxMax}`];
    const engine = await startReadyEngine({ flags, env: { LLAMA_API_KEY: "secret" } });
    return {
      address: { engine: "llamacpp", url: engine.url, apiKey: "secret" },
      facts: { ...haikuFacts, features: [...haikuFacts.features, "embedding"] },
      stop: () => engine.stop(),
    };
  },
});
