import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileInspector } from "./inspector.ts";
import { holderText, listeningInodes, portHolder } from "./port-holder.ts";

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 424242 1 0000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C5A0 01 00000000:00000000 00:00000000 00000000  1000        0 515151 1 0000 20 4 30 10 -1
   2: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 616161 1 0000 100 0 0 10 0
`;

test("only sockets that listen on exactly this port hold it", () => {
  assert.deepEqual(listeningInodes(table, 8080), ["424242"]);
  assert.deepEqual(listeningInodes(table, 8081), ["616161"]);
  assert.deepEqual(listeningInodes(table, 80), []);
});

test("the holder is found by its file descriptors, and named by its command line", (t) => {
  const root = mkdtempSync(join(tmpdir(), "llorch-proc-"));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "proc/net"), { recursive: true });
  writeFileSync(join(root, "proc/net/tcp"), table);
  for (const [pid, inode] of [
    ["17", "1"],
    ["4711", "424242"],
  ] as const) {
    mkdirSync(join(root, "proc", pid, "fd"), { recursive: true });
    symlinkSync(`socket:[${inode}]`, join(root, "proc", pid, "fd/9"));
    writeFileSync(join(root, "proc", pid, "cmdline"), "node\0cli/llorch.js\0up\0");
  }
  const inspector = fileInspector(root);
  const holder = portHolder(inspector, 8080);
  assert.deepEqual(holder, { pid: 4711, command: "node cli/llorch.js up" });
  assert.equal(holderText(holder ?? {}), "node cli/llorch.js up (pid 4711)");
  assert.deepEqual(portHolder(inspector, 8081), {}, "somebody holds it, and we may not see who");
  assert.equal(holderText({}), "a process of another user or container");
  assert.equal(portHolder(inspector, 9200), undefined);
});

test("on this machine, the holder of a port that we listen on is this process", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  t.after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  assert.equal(portHolder(fileInspector(), (server.address() as AddressInfo).port)?.pid, process.pid);
});
