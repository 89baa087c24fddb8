// The version of this engine: the library that it is made of, whose release fixes that of llama.cpp.

import manifest from "../../package.json" with { type: "json" };

export const engineVersion = `node-llama-cpp-${manifest.dependencies["node-llama-cpp"]}`;
