import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { test } from "node:test";
import { LogFile } from "./log-file.ts";
import { temporaryFolder } from "./supervise/fixtures/place.ts";

const fail = (error: unknown) => {
  throw error;
};

test("a full log makes room by replacing the one before it", async (t) => {
  const folder = temporaryFolder(t);
  const log = new LogFile(`${folder}/x.log`, fail, 10);
  for (const word of ["first-line", "second-line", "third-line"]) {
    log.write(word);
    await log.close();
  }
  assert.equal(readFileSync(log.path, "utf8"), "third-line\n");
  assert.equal(readFileSync(`${log.path}.1`, "utf8"), "second-line\n");
});

test("lines that come faster than the disk writes are left out and counted", async (t) => {
  const folder = temporaryFolder(t);
  const log = new LogFile(`${folder}/x.log`, fail);
  for (let line = 0; line < 3000; line++) log.write("x".repeat(1000));
  await log.close();
  const lines = readFileSync(log.path, "utf8").trimEnd().split("\n");
  const leftOut = Number(/^(\d+) lines were left out here\.$/.exec(lines.pop() ?? "")?.[1]);
  assert.equal(leftOut + lines.length, 3000);
  assert.ok(leftOut > 0);
});

test("a log that cannot be written is complained about once and stops nobody", async (t) => {
  const folder = temporaryFolder(t);
  const errors: unknown[] = [];
  const log = new LogFile(`${folder}/gone/x.log`, (error) => errors.push(error));
  for (const word of ["one", "two"]) {
    log.write(word);
    await log.close();
  }
  assert.equal(errors.length, 1);
  rmSync(folder, { recursive: true });
});
