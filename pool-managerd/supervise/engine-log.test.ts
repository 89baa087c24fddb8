import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EngineLog } from "./engine-log.ts";
import { temporaryFolder } from "./fixtures/place.ts";

const fail = (error: unknown) => {
  throw error;
};

test("lines of all replicas are appended in order to the log of their pool", async (t) => {
  const folder = temporaryFolder(t);
  for (const round of [1, 2]) {
    const log = new EngineLog(folder, "demo", fail);
    log.write("r0", `a${round}`);
    log.write("r1", `b${round}`);
    await log.close();
  }
  assert.equal(readFileSync(`${folder}/engine-demo.log`, "utf8"), "r0 a1\nr1 b1\nr0 a2\nr1 b2\n");
});
