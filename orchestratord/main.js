#!/usr/bin/env node
// The program `orchestratord`. What was compiled once is kept, which halves every later start; so the cache
// is switched on before anything else is loaded, and this file is JavaScript: a first one in TypeScript would
// load the compiler for itself alone, which stays in memory.

import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";

// What loading leaves behind would grow the young generation for good; it may grow once the daemon stands.
setFlagsFromString("--semi-space-growth-factor=1");
// What it took to optimise a function is freed at once. Left to threads it piles up while those are busy, and
// after the first burst of requests 25 MiB of it stay with the allocator.
setFlagsFromString("--no-maglev-destroy-on-background");
enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/llama-orch"));
const { runDaemon } = await import("./daemon.ts");
await runDaemon();
setFlagsFromString("--semi-space-growth-factor=2");
