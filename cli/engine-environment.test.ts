import assert from "node:assert/strict";
import { test } from "node:test";
import { engineEnvironment } from "./engine-environment.ts";

test("an engine inherits paths, language and what drivers read, and no secret whatever its name", () => {
  const useful = {
    PATH: "/bin",
    HOME: "/h",
    LC_ALL: "C.UTF-8",
    CUDA_CACHE_PATH: "/c",
    LD_LIBRARY_PATH: "/l",
  };
  const secret = {
    LLORCH_API_TOKEN: "t",
    AUTH_TOKEN: "t",
    HF_TOKEN: "t",
    AWS_SECRET_ACCESS_KEY: "t",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=t",
    LLAMA_ARG_HOST: "0.0.0.0",
    NODE_OPTIONS: "--inspect=0.0.0.0",
  };
  assert.deepEqual(engineEnvironment({ ...useful, ...secret }), useful);
});
