import assert from "node:assert/strict";
import { test } from "node:test";
import { faulty } from "./adapter.conformance.ts";
import { bindAdapter } from "./bind.ts";

test("an engine whose wire is not spoken is refused by its name", () => {
  for (const engine of ["vllm", "tgi", "triton"] as const) {
    assert.throws(
      () => bindAdapter({ engine, url: "http://127.0.0.1:1" }, { seed: 1 }),
      (error: Error) => {
        assert.match(error.message, new RegExp(`no adapter for the engine ${engine}`));
        return faulty({ kind: "refused", code: "INTERNAL" })(error);
      },
    );
  }
});
