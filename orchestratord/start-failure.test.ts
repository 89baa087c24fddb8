// The program as an operator starts it, with something wrong each time.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { OrchError } from "@llama-orch/contract";
import { startFailure } from "./start-failure.ts";
import { prepareDatabase } from "./store/sqlite/database.ts";

const main = join(import.meta.dirname, "main.js");

/** Starts the program, which is to leave by itself. */
async function start(t: TestContext, file: object, dataDir?: string) {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-start-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, "pools.json");
  const common = { data_dir: dataDir ?? join(folder, "data"), auth: { bind_addr: "127.0.0.1:0" }, pools: [] };
  writeFileSync(config, JSON.stringify({ ...common, ...file }));
  const child = spawn(process.execPath, [main, "--config", config], { stdio: ["ignore", "ignore", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const [code] = await once(child, "close");
  return { code, said };
}

/** One sentence and no stack. */
function assertTold({ code, said }: { code: number; said: string }, what: RegExp): void {
  assert.match(said, what);
  assert.equal(said.trimEnd().split("\n").length, 1, said);
  assert.equal(code, 2);
}

test("a certificate that is not there ends the program with a sentence and 2", async (t) => {
  const tls = { cert_file: "/nowhere/cert.pem", key_file: "/nowhere/key.pem" };
  assertTold(
    await start(t, { tls }),
    /^tls\.cert_file: \/nowhere\/cert\.pem cannot be read \(ENOENT\); name/,
  );
});

test("an address that is not of this machine ends the program with a sentence and 2", async (t) => {
  // Of the block that is for documents alone. Beyond loopback a token is asked for.
  const auth = { bind_addr: "192.0.2.1:8080", token: "a-token-that-is-long-enough-for-anybody" };
  assertTold(
    await start(t, { auth }),
    /^192\.0\.2\.1:8080 is no address of this machine; set auth\.bind_addr/,
  );
});

test("a port that is taken ends the program with a sentence and 2", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  const auth = { bind_addr: `127.0.0.1:${port}` };
  assertTold(
    await start(t, { auth }),
    new RegExp(`^Port ${port} is taken by another process\\. Stop it, or`),
  );
});

test("a data directory that cannot be made ends the program with a sentence and 2", async (t) => {
  assertTold(
    await start(t, {}, "/dev/null/data"),
    /^\/dev\/null\/data cannot be used \(ENOTDIR\); set data_dir/,
  );
});

test("a lock that is none ends the program with a sentence and 2", async (t) => {
  const data = mkdtempSync(join(tmpdir(), "llama-orch-start-"));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  writeFileSync(join(data, "daemon.lock"), "This is no database. ".repeat(100));
  assertTold(
    await start(t, {}, data),
    /^daemon\.lock cannot be used: file is not a database\. Remove it, or/,
  );
});

test("a damaged table of the store ends the program with a sentence that names the store, and 2", async (t) => {
  const data = mkdtempSync(join(tmpdir(), "llama-orch-start-"));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  mkdirSync(join(data, "store"));
  prepareDatabase(join(data, "store"));
  for (const table of ["tasks", "texts", "recorded"]) {
    const path = join(data, "store", "store.db");
    const whole = readFileSync(path);
    damage(path, table);
    assertTold(
      await start(t, {}, data),
      /^The store .*store\.db cannot be opened\. SQLite says: .*malformed.* Restore it from a copy, or move/,
    );
    writeFileSync(path, whole);
  }
});

/** The page where a table begins is nothing any more. */
function damage(path: string, table: string): void {
  const db = new DatabaseSync(path, { readOnly: true });
  const page = Number(db.prepare("PRAGMA page_size").get()?.page_size);
  const root = Number(db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").get(table)?.rootpage);
  db.close();
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(page, 0xff), 0, page, (root - 1) * page);
  closeSync(file);
}

test("what is a bug of ours has no sentence", () => {
  assert.equal(startFailure(new TypeError("x is not a function")), undefined);
  assert.equal(startFailure(new OrchError("INTERNAL", "It broke.")), undefined);
  assert.equal(startFailure("text"), undefined);
});

test("an address that may not be listened on is said with a way out", () => {
  const refused = { syscall: "listen", address: "::1", port: 80 };
  assert.match(
    startFailure(Object.assign(new Error(), refused, { code: "EACCES" })) ?? "",
    /^\[::1\]:80 may not be listened on by this user; set auth\.bind_addr .* above 1023\.$/,
  );
  const odd = Object.assign(new Error(), refused, { code: "EAFNOSUPPORT" });
  assert.match(startFailure(odd) ?? "", /^\[::1\]:80 cannot be listened on \(EAFNOSUPPORT\); set auth/);
});
