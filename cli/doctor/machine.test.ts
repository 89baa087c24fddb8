import assert from "node:assert/strict";
import { test } from "node:test";
import { fileInspector, type Inspector } from "./inspector.ts";
import { checkDisk, checkMemory, checkNode, checkPort, checkTools } from "./machine.ts";

const nothing: Inspector = {
  read: () => undefined,
  names: () => [],
  target: () => undefined,
  freeBytes: () => undefined,
  run: async () => undefined,
};

test("Node must run TypeScript as it is", () => {
  assert.equal(checkNode("v24.1.0").level, "ok");
  assert.equal(checkNode("v20.20.2").level, "bad");
  assert.match(checkNode("v20.20.2").todo ?? "", /npm run llorch/);
});

test("a missing tool is a warning that says what it is for; any compiler will do", () => {
  const inspector = {
    ...nothing,
    names: (folder: string) => (folder === "/usr/bin" ? ["git", "clang++"] : []),
  };
  const found = checkTools(inspector, ["/opt/bin", "/usr/bin"]);
  assert.deepEqual(
    found.map(({ check, level, says }) => [check, level, says]),
    [
      ["git", "ok", "/usr/bin/git"],
      ["cmake", "warn", "There is no cmake in PATH."],
      ["compiler", "ok", "/usr/bin/clang++"],
      ["setpriv", "warn", "There is no setpriv in PATH."],
    ],
  );
  for (const { level, todo } of found) assert.equal(level === "ok", todo === undefined);
});

test("a port in use is a warning that names who has it", () => {
  const line = "0: 0100007F:23F0 00000000:0000 0A 0:0 0:0 0 0 0 77 1";
  const inspector = {
    ...nothing,
    read: (path: string) => (path === "/proc/net/tcp" ? line : undefined),
  };
  assert.equal(checkPort(inspector, 8080).level, "ok");
  const { check, level, says } = checkPort(inspector, 9200);
  assert.deepEqual([check, level], ["port 9200", "warn"]);
  assert.match(says, /another user or container listens where the orchestrator would/);
});

test("disk and memory are judged by what is left, and a container's limit counts", () => {
  const disk = (bytes: number) => checkDisk({ ...nothing, freeBytes: () => bytes }, "/data").level;
  assert.deepEqual([disk(3 * 1024 ** 3), disk(1024 ** 3), disk(1024 ** 2)], ["ok", "warn", "bad"]);
  assert.equal(checkDisk(nothing, "/data").level, "bad");
  const files: Record<string, string> = { "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   16777216 kB\n" };
  const inspector = { ...nothing, read: (path: string) => files[path] };
  assert.deepEqual(checkMemory(inspector), { check: "memory", level: "ok", says: "16.0 GiB available" });
  files["/sys/fs/cgroup/memory.max"] = "max\n";
  files["/sys/fs/cgroup/memory.current"] = "1000\n";
  assert.equal(checkMemory(inspector).level, "ok", "a container without a limit");
  files["/sys/fs/cgroup/memory.max"] = String(400 * 1024 ** 2);
  assert.equal(checkMemory(inspector).level, "bad");
  assert.equal(checkMemory(nothing).level, "warn");
});

test("the free space of a folder that is not there yet is that of where it would be made", () => {
  const free = fileInspector().freeBytes(`${import.meta.dirname}/not/there/yet`);
  assert.ok(free !== undefined && free > 0);
});
