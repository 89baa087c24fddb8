#!/usr/bin/env node
// The program `orchestratord`. What was compiled once is kept, which halves every later start; so the cache
// is switched on before anything else is loaded.

import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/llama-orch"));
const { runDaemon } = await import("./daemon.ts");
await runDaemon();
