// The thread that writes, as it is started: JavaScript, with the cache of what was compiled once, so that no
// thread loads a compiler of its own.

import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../../../node_modules/.cache/llama-orch"));
await import("./writer.ts");
