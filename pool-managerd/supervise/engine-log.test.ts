import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
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

test("a full log makes room by replacing the one before it", async (t) => {
  const folder = temporaryFolder(t);
  const log = new EngineLog(folder, "demo", fail, 10);
  for (const word of ["first-line", "second-line", "third-line"]) {
    log.write("r0", word);
    await log.close();
  }
  assert.equal(readFileSync(log.path, "utf8"), "r0 third-line\n");
  assert.equal(readFileSync(`${log.path}.1`, "utf8"), "r0 second-line\n");
});

test("engines that talk faster than the disk writes lose lines, which are counted", async (t) => {
  const folder = temporaryFolder(t);
  const log = new EngineLog(folder, "demo", fail);
  for (let line = 0; line < 3000; line++) log.write("r0", "x".repeat(1000));
  await log.close();
  const lines = readFileSync(log.path, "utf8").trimEnd().split("\n");
  const leftOut = Number(/^(\d+) lines were left out here\.$/.exec(lines.pop() ?? "")?.[1]);
  assert.equal(leftOut + lines.length, 3000);
  assert.ok(leftOut > 0);
});

test("a log that cannot be written is complained about once and stops nobody", async (t) => {
  const folder = temporaryFolder(t);
  const errors: unknown[] = [];
  const log = new EngineLog(`${folder}/gone`, "demo", (error) => errors.push(error));
  for (const word of ["one", "two"]) {
    log.write("r0", word);
    await log.close();
  }
  assert.equal(errors.length, 1);
  rmSync(folder, { recursive: true });
});
