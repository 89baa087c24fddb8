#!/usr/bin/env node
// The program `llorch`. What was compiled once is kept, which makes every later call quicker; so the cache is
// switched on before anything else is loaded, and this file is JavaScript: a first one in TypeScript would
// load the compiler for itself alone.

import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/llama-orch"));
const [{ readArguments }, { runLlorch }] = await Promise.all([import("./config.ts"), import("./index.ts")]);
process.exitCode = await runLlorch(readArguments());
