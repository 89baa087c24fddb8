import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadConfig } from "./config.ts";

const machine = { home: "/h", hostname: "attic" };

function file(t: TestContext, name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "orchestratord-config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

function load(argv: readonly string[], environment: Record<string, string> = {}, carried?: unknown) {
  return loadConfig({ argv, environment, machine, ...(carried !== undefined && { file: carried }) });
}

function problems(argv: readonly string[], environment: Record<string, string> = {}): readonly string[] {
  const loaded = load(argv, environment);
  return loaded.ok ? [] : loaded.problems;
}

test("with nothing given the daemon listens on loopback and keeps its data under the home directory", () => {
  const loaded = load([]);
  assert.ok(loaded.ok);
  assert.equal(loaded.config.auth.bind_addr, "127.0.0.1:8080");
  assert.equal(loaded.config.data_dir, "/h/.local/share/llama-orch");
  assert.deepEqual([loaded.config.pools, loaded.warnings], [[], []]);
  assert.ok(Object.isFrozen(loaded.config) && Object.isFrozen(loaded.config.auth));
  assert.ok(!("node" in loaded.config));
});

test("a flag wins over the environment, which wins over the file", (t) => {
  const path = file(t, "c.yaml", "auth: {bind_addr: '127.0.0.1:1'}\ndata_dir: /file\nshutdown_ms: 5\n");
  const loaded = load(["--config", path, "--addr", "127.0.0.1:3"], {
    ORCHD_ADDR: "127.0.0.1:2",
    LLORCH_DATA_DIR: "/environment",
  });
  assert.ok(loaded.ok);
  const { auth, data_dir, shutdown_ms } = loaded.config;
  assert.deepEqual([auth.bind_addr, data_dir, shutdown_ms], ["127.0.0.1:3", "/environment", 5]);
  assert.equal(loaded.origins.get("auth.bind_addr"), "flag --addr");
});

test("the file is named by --config, else by ORCHD_POOLS_CONFIG, else it is what the carrying program says", (t) => {
  const [a, b] = [file(t, "a.json", '{"shutdown_ms": 1}'), file(t, "b.yaml", "shutdown_ms: 2")];
  const shutdownMs = (...args: Parameters<typeof load>) => {
    const loaded = load(...args);
    return loaded.ok && loaded.config.shutdown_ms;
  };
  assert.equal(shutdownMs(["--config", a], { ORCHD_POOLS_CONFIG: b }, { shutdown_ms: 3 }), 1);
  assert.equal(shutdownMs([], { ORCHD_POOLS_CONFIG: b }, { shutdown_ms: 3 }), 2);
  assert.equal(shutdownMs([], {}, { shutdown_ms: 3 }), 3);
});

test("every problem of file, environment and flags is told at once, under the name the operator used", (t) => {
  const path = file(t, "c.yaml", "shutdown_ms: soon\ncolour: red\n");
  const told = problems(["--config", path, "--addr", "nowhere"], { ORCHD_SSE_HEARTBEAT_MS: "often" });
  for (const name of ["shutdown_ms", "colour", "--addr", "ORCHD_SSE_HEARTBEAT_MS"]) {
    assert.ok(
      told.some((line) => line.startsWith(`${name}: given `)),
      name,
    );
  }
  assert.equal(told.length, 4);
});

test("a file that cannot be read or parsed is one sentence without its text", (t) => {
  const token = "a-token-nobody-may-see";
  const path = file(t, "c.yaml", `auth:\n  token: "${token}\n`);
  const [told = "", ...others] = problems(["--config", path]);
  assert.match(told, /^The configuration file .*c\.yaml is not valid YAML or JSON at line \d+, column \d+: /);
  assert.ok(!told.includes(token) && others.length === 0);
  assert.match(problems(["--config", "/none.yaml"])[0] as string, /There is no such file\.$/);
  assert.match(problems([], { ORCHD_POOLS_CONFIG: "/" })[0] as string, /It is a directory/);
  const bomb = file(
    t,
    "b.yaml",
    `a: &a [1,1]\n${"bcdefghijklm".replaceAll(/./g, (n) => `${n}: &${n} [${`*${String.fromCharCode(n.charCodeAt(0) - 1)},`.repeat(9)}]\n`)}`,
  );
  assert.match(problems(["--config", bomb])[0] as string, /alias that is unknown or refers to too much/);
});

test("an unknown flag and a mode that is none say how the daemon is called", () => {
  for (const argv of [["--colour", "red"], ["--config"], ["stray"], ["--mode", "loose"]]) {
    const told = problems(argv);
    assert.equal(told.length, 1);
    assert.match(told[0] as string, /The call is orchestratord \[--config FILE\]/);
  }
});

test("compat mode warns about unknown keys and starts", (t) => {
  const path = file(t, "c.yaml", "colour: red\n");
  for (const loaded of [
    load(["--config", path, "--mode", "compat"]),
    load(["--config", path], { LLORCH_CONFIG_MODE: "compat" }),
  ]) {
    assert.ok(loaded.ok);
    assert.match(loaded.warnings.join(), /^colour: /);
  }
});

test("a bind that other machines reach is refused without a credential, in words that say what to set", () => {
  const [told = ""] = problems(["--addr", "0.0.0.0:8080"]);
  assert.match(told, /^auth\.bind_addr: .*NON_LOOPBACK_WITHOUT_TOKEN/);
  assert.deepEqual(problems(["--addr", "0.0.0.0:8080"], { ORCHD_API_KEYS: "valid" }), []);
});
