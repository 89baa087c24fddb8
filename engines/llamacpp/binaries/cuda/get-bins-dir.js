// Stands where node-llama-cpp looks for its CUDA binaries, so that a machine without an NVIDIA GPU does not
// fetch half a gigabyte. The binaries lie next door once scripts/setup.js has found a GPU and installed them.

// By path: by its name Node would climb up to this very file, which would wait for itself for ever.
import * as installed from "../node_modules/@node-llama-cpp/linux-x64-cuda/dist/index.js";

export function getBinsDir() {
  return installed.getBinsDir();
}
