import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DirectoryTaken, takeDataDirectory } from "./data-directory.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "llama-orch-data-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return join(path, "data");
}

test("one daemon at a time has a data directory, and the second is told who", (t) => {
  const path = folder(t);
  const first = takeDataDirectory(path);
  assert.throws(
    () => takeDataDirectory(path),
    (error) => error instanceof DirectoryTaken && error.message.includes(`process ${process.pid}.`),
  );
  first.release();
  takeDataDirectory(path).release();
});

test("the directory and what lies in it are for their owner alone", (t) => {
  const path = folder(t);
  const held = takeDataDirectory(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  const names = readdirSync(path);
  assert.deepEqual(names.sort(), ["daemon.lock", "daemon.pid"]);
  for (const name of names) assert.equal(statSync(join(path, name)).mode & 0o777, 0o600, name);
  held.release();
});

test("a holder that was killed leaves the directory free", async (t) => {
  const path = folder(t);
  const program = `
    import { takeDataDirectory } from ${JSON.stringify(join(import.meta.dirname, "data-directory.ts"))};
    takeDataDirectory(${JSON.stringify(path)});
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program]);
  await once(child.stdout, "data");
  assert.throws(() => takeDataDirectory(path), DirectoryTaken);
  child.kill("SIGKILL");
  await once(child, "exit");
  takeDataDirectory(path).release();
});
