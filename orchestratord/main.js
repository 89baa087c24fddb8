#!/usr/bin/env node
// The program `orchestratord`. What was compiled once is kept, which halves every later start; so the cache
// is switched on before anything else is loaded, and this file is JavaScript: a first one in TypeScript would
// load the compiler for itself alone, which stays in memory. What loading leaves behind would grow the young
// generation for good, so that is kept small until the daemon stands.

import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";

setFlagsFromString("--semi-space-growth-factor=1");
enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/llama-orch"));
const { runDaemon } = await import("./daemon.ts");
await runDaemon();
setFlagsFromString("--semi-space-growth-factor=2");
