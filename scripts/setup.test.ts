import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

/** Stands for npm: notes its call, and installs slowly enough for two to meet. */
const FAKE_NPM = `
  import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
  appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");
  if (process.env.FAKE_NPM_FAILS) process.exit(Number(process.env.FAKE_NPM_FAILS));
  rmSync("node_modules", { recursive: true, force: true });
  await new Promise((resolve) => setTimeout(resolve, 300));
  mkdirSync("node_modules");
  console.log("added 1 package");
  writeFileSync("node_modules/.package-lock.json", "{}");
`;

function freshClone(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "llama-orch-setup-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "scripts"));
  // What it finds must not depend on whether this machine has a GPU.
  const source = readFileSync(join(import.meta.dirname, "setup.js"), "utf8");
  const driver = join(root, "nvidia-version");
  writeFileSync(join(root, "scripts", "setup.js"), source.replace("/proc/driver/nvidia/version", driver));
  writeFileSync(join(root, "package.json"), '{ "type": "module" }');
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(join(root, "npm.js"), FAKE_NPM);
  const env = { ...process.env, npm_execpath: join(root, "npm.js"), npm_node_execpath: process.execPath };
  const args = [join(root, "scripts", "setup.js")];
  return {
    root,
    setUp: (more = {}, timeout?: number) =>
      spawnSync(process.execPath, args, { encoding: "utf8", env: { ...env, ...more }, timeout }),
    startSetUp: () =>
      new Promise<number | null>((resolve) => spawn(process.execPath, args, { env }).once("exit", resolve)),
    calls: () =>
      existsSync(join(root, "calls")) ? readFileSync(join(root, "calls"), "utf8").trim().split("\n") : [],
    /** As after an edit or a pull, one minute from now. */
    changeLock: () => {
      const later = new Date(Date.now() + 60_000);
      utimesSync(join(root, "package-lock.json"), later, later);
    },
  };
}

test("a fresh clone is installed once, with the packages of every kind, and nothing goes to stdout", (t) => {
  const clone = freshClone(t);
  const { status, stdout } = clone.setUp();
  assert.deepEqual([status, stdout], [0, ""]);
  assert.equal(clone.setUp().status, 0);
  assert.deepEqual(clone.calls(), ["ci --include=dev --include=optional --ignore-scripts --loglevel=error"]);
});

test("a lock file newer than the install is installed again, once, even when its date lies in the future", (t) => {
  const clone = freshClone(t);
  clone.setUp();
  clone.changeLock();
  assert.equal(clone.setUp().status, 0);
  assert.equal(clone.setUp().status, 0);
  assert.equal(clone.calls().length, 2);
});

test("with an NVIDIA driver the CUDA binaries are added once, beside the packages, and it is said", (t) => {
  const clone = freshClone(t);
  const cuda = withDriver(clone.root);
  const { status, stderr } = clone.setUp();
  assert.equal(status, 0);
  assert.equal(clone.setUp().status, 0);
  assert.equal(clone.calls().length, 1);
  assert.equal(
    readFileSync(join(cuda, "calls"), "utf8"),
    "ci --include=dev --include=optional --ignore-scripts --loglevel=error\n",
  );
  assert.match(stderr, /NVIDIA GPU: adding the CUDA binaries .* about half a gigabyte/);
});

test("CUDA binaries that cannot be had are told of, and nothing else waits for them", (t) => {
  const clone = freshClone(t);
  clone.setUp();
  withDriver(clone.root);
  const { status, stderr } = clone.setUp({ FAKE_NPM_FAILS: "7" });
  assert.equal(status, 0);
  assert.match(stderr, /Pools on the GPU cannot start until this install succeeds/);
});

/** Gives the clone a driver to find, and the folder where its CUDA binaries belong. */
function withDriver(root: string): string {
  writeFileSync(join(root, "nvidia-version"), "NVRM version: 1.0");
  const cuda = join(root, "engines", "llamacpp", "binaries");
  mkdirSync(cuda, { recursive: true });
  writeFileSync(join(cuda, "package-lock.json"), "{}");
  return cuda;
}

test("an interrupted install is repeated, although its holder left the lock behind", (t) => {
  const clone = freshClone(t);
  mkdirSync(join(clone.root, "node_modules"));
  mkdirSync(join(clone.root, ".results"));
  const dead = spawnSync(process.execPath, ["-e", "0"]).pid;
  writeFileSync(join(clone.root, ".results", "installing"), `${dead}`);
  assert.equal(clone.setUp().status, 0);
  assert.equal(clone.calls().length, 1);
  assert.ok(!existsSync(join(clone.root, ".results", "installing")));
});

for (const text of ["", "0", "-1", "x"]) {
  test(`a lock that names no process (${JSON.stringify(text)}) is taken over at once`, (t) => {
    const clone = freshClone(t);
    mkdirSync(join(clone.root, ".results"));
    writeFileSync(join(clone.root, ".results", "installing"), text);
    assert.equal(clone.setUp({}, 5000).status, 0);
    assert.deepEqual(readdirSync(join(clone.root, ".results")), []);
  });
}

test("a failed install ends with npm's exit code and says what to do", (t) => {
  const clone = freshClone(t);
  const { status, stderr } = clone.setUp({ FAKE_NPM_FAILS: "7" });
  assert.equal(status, 7);
  assert.match(stderr, /failed with exit code 7.*npm install.*run the command again/s);
  assert.equal(clone.setUp().status, 0);
});

for (const start of ["in a fresh clone", "after an interrupted install"]) {
  test(`commands started together ${start} install once`, async (t) => {
    const clone = freshClone(t);
    if (start !== "in a fresh clone") {
      mkdirSync(join(clone.root, ".results"));
      const dead = spawnSync(process.execPath, ["-e", "0"]).pid;
      writeFileSync(join(clone.root, ".results", "installing"), `${dead}`);
    }
    assert.deepEqual(
      await Promise.all([clone.startSetUp(), clone.startSetUp(), clone.startSetUp()]),
      [0, 0, 0],
    );
    assert.equal(clone.calls().length, 1);
  });
}

test("without any Node that is new enough it says which to install", (t) => {
  const clone = freshClone(t);
  const path = join(clone.root, "scripts", "setup.js");
  const source = readFileSync(path, "utf8");
  writeFileSync(path, source.replace("NODE_MAJOR_MIN = 24", "NODE_MAJOR_MIN = 999"));
  const { status, stderr } = clone.setUp();
  assert.equal(status, 1);
  assert.match(
    stderr,
    /needs Node 999, and this is Node .* install Node 999 from https:.* run the command again\./,
  );
});

test("a packaged Node that cannot run here is taken off the path", (t) => {
  const clone = freshClone(t);
  const npm = readFileSync(join(clone.root, "npm.js"), "utf8");
  const broken =
    'mkdirSync("node_modules/.bin"); writeFileSync("node_modules/.bin/node", "#!/no/such\\n", { mode: 0o755 });';
  writeFileSync(join(clone.root, "npm.js"), npm + broken);
  assert.equal(clone.setUp().status, 0);
  assert.ok(!existsSync(join(clone.root, "node_modules", ".bin", "node")));
});

test("when all is installed it costs less than 100 ms above a bare Node", (t) => {
  const clone = freshClone(t);
  clone.setUp();
  const fastest = (run: () => unknown) => {
    const times = Array.from({ length: 5 }, () => {
      const startedAt = performance.now();
      run();
      return performance.now() - startedAt;
    });
    return Math.min(...times);
  };
  const bareMs = fastest(() => spawnSync(process.execPath, ["-e", "0"]));
  const setUpMs = fastest(() => clone.setUp());
  assert.ok(setUpMs - bareMs < 100, `setup took ${setUpMs} ms, a bare Node ${bareMs} ms`);
});
