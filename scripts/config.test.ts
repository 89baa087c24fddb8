import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { problemText, resolveConfig } from "@llama-orch/contract";
import { parse } from "yaml";

const root = join(import.meta.dirname, "..");
const examples = join(root, "docs", "examples");
const token = "replace-this-with-a-long-token";

function run(args: readonly string[], environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts/config.ts"), ...args], {
    encoding: "utf8",
    env: { HOME: "/h", ...environment },
  });
  return { status, stdout, lines: stderr.split("\n").filter((line) => line !== "") };
}

/** Runs with a file of this name and text, which is gone afterwards. */
function runFile(name: string, text: string, args: readonly string[] = [], environment = {}) {
  const folder = mkdtempSync(join(tmpdir(), "config-"));
  try {
    writeFileSync(join(folder, name), text);
    return run([join(folder, name), ...args], environment);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const name of readdirSync(examples)) {
  test(`the example ${name} is valid, with no warning [OC-CONFIG-6002]`, () => {
    const file: unknown = parse(readFileSync(join(examples, name), "utf8"));
    const result = resolveConfig({ file, environment: { LLORCH_API_TOKEN: token } });
    assert.deepEqual(result.ok ? [] : result.problems.map(problemText), []);
    assert.deepEqual(result.warnings, []);
  });
}

const fiveMistakes = `
pools:
  - id: chat
    engine: ollama
    model: file:m.gguf
    devices: [0]
    timeouts: {idle_ms: 900, wall_ms: 300}
    queue: {capacity: 0}
colour: red
`;

test("five mistakes are five lines with path, given and accepted, and exit code 2 [ORCH-3030]", () => {
  const { status, stdout, lines } = runFile("five.yaml", fiveMistakes, [], {
    ORCHD_POOL_POLL_INTERVAL_MS: "1",
  });
  assert.equal(status, 2);
  assert.equal(stdout, "");
  assert.equal(lines.length, 5);
  for (const path of [
    "pools[0].engine",
    "pools[0].timeouts.idle_ms",
    "pools[0].queue.capacity",
    "colour",
    "ORCHD_POOL_POLL_INTERVAL_MS",
  ]) {
    const line = lines.find((each) => each.startsWith(`${path}: given `));
    assert.match(line ?? "", /; accepted: .+\.$/, path);
  }
});

test("an unknown key stops strict mode, compat mode warns once [OC-CONFIG-6001] [ORCH-3030]", () => {
  const text = '{"colour": "red", "shutdown_ms": 5}';
  const strict = runFile("c.json", text);
  assert.deepEqual([strict.status, strict.lines.length], [2, 1]);
  assert.equal(runFile("c.json", text, [], { LLORCH_CONFIG_MODE: "strict" }).status, 2);
  for (const compat of [
    runFile("c.json", text, ["--mode", "compat"]),
    runFile("c.json", text, [], { LLORCH_CONFIG_MODE: "compat" }),
  ]) {
    assert.equal(compat.status, 0);
    assert.equal(compat.lines.length, 1);
    assert.match(compat.lines[0] ?? "", /^warning: colour: /);
    assert.match(compat.stdout, /^shutdown_ms +5 +file$/m);
    assert.doesNotMatch(compat.stdout, /colour/);
  }
});

test("each value is printed with its origin, and a secret as [REDACTED]", () => {
  const { status, stdout } = run([join(examples, "lan-with-token.yaml")], { LLORCH_API_TOKEN: token });
  assert.equal(status, 0);
  assert.match(stdout, /^auth\.bind_addr +"0\.0\.0\.0:8080" +file$/m);
  assert.match(stdout, /^auth\.token +"\[REDACTED\]" +environment LLORCH_API_TOKEN$/m);
  assert.match(stdout, /^data_dir +"\/h\/\.local\/share\/llama-orch" +default$/m);
  assert.ok(!stdout.includes(token));
});

test("--json prints one document with the same facts", () => {
  const good = JSON.parse(run(["--json"], { LLORCH_API_TOKEN: token, ORCHD_X: "1" }).stdout);
  assert.equal(good.ok, true);
  assert.equal(good.warnings.length, 1);
  assert.deepEqual(
    good.values.find((each: { path: string }) => each.path === "auth.token"),
    { path: "auth.token", value: "[REDACTED]", origin: "environment LLORCH_API_TOKEN" },
  );
  const bad = runFile("five.yaml", fiveMistakes, ["--json"]);
  assert.equal(bad.status, 2);
  assert.equal(JSON.parse(bad.stdout).problems.length, 4);
});

test("without a FILE the one that ORCHD_POOLS_CONFIG names is read, and it must exist", () => {
  const named = run([], { ORCHD_POOLS_CONFIG: join(examples, "loopback-dev.yaml") });
  assert.match(named.stdout, /^pools\[0\]\.id +"demo" +file$/m);
  assert.equal(run([], { ORCHD_POOLS_CONFIG: "/no/such/file" }).status, 2);
});

/** Each made the library's own message, or a warning of it, quote the file. */
const quoting = [
  "token: |s3cr3t",
  "token: >s3cr3t\n  x",
  'token: "\\s3cr3t"',
  "token: @s3cr3t",
  "token: *s3cr3t",
  "token: !s3cr3t!x 1",
  "%s3cr3t\n---\na: 1",
  "token: 's3cr3t",
  "token: [s3cr3t",
  "? [s3cr3t]\n: 1",
  "s3cr3t: 1\ns3cr3t: 2",
  "token: 's3cr3t' s3cr3t",
  "- s3cr3t: 1\n s3cr3t",
];
test("no mistake of YAML makes the file be quoted", () => {
  for (const text of quoting) {
    const { status, stdout, lines } = runFile("b.yaml", `${text}\n`);
    assert.deepEqual([status, stdout, lines.length], [2, "", 1], text);
    assert.doesNotMatch(lines.join(), /s3cr3t/, text);
  }
});

const refusals: readonly [title: string, result: () => ReturnType<typeof run>, says: RegExp][] = [
  [
    "a missing file",
    () => run(["/no/such.yaml"]),
    /^The configuration file \/no\/such\.yaml cannot be read\. There is no such file\.$/,
  ],
  ["a directory", () => run([examples]), /It is a directory; name a YAML or JSON file in it\.$/],
  [
    "broken YAML",
    () => runFile("b.yaml", "auth:\n  token: [1\n"),
    /not valid YAML or JSON at line 3, column 1: .+\.$/,
  ],
  [
    "broken JSON",
    () => runFile("b.json", '{"auth": {"token": "s3cr3t-s3cr3t" "x"}}'),
    /not valid YAML or JSON at line 1, column \d+: (?!.*s3cr3t)/,
  ],
  [
    "a block header with a secret behind it",
    () => runFile("b.yaml", "auth:\n  token: |s3cr3t-s3cr3t\n"),
    /^(?!.*s3cr3t).*at line 2, column 11: something stands where it cannot be read\.$/,
  ],
  [
    "a key that is no text",
    () => runFile("b.yaml", "{token: s3cr3t-s3cr3t}: 1\n"),
    /^(?!.*s3cr3t).*at line 1, column 1: a key must be a text\.$/,
  ],
  ["an unknown alias", () => runFile("b.yaml", "pools: *nobody\n"), /alias/i],
  ["a wrong mode", () => run(["--mode", "lax"]), /^--mode: given "lax"; accepted: strict or compat\.$/],
  ["two files", () => run(["a", "b"]), /^Usage: /],
];
for (const [title, result, says] of refusals) {
  test(`${title} is refused with a sentence and exit code 2`, () => {
    const { status, stdout, lines } = result();
    assert.deepEqual([status, stdout, lines.length], [2, "", 1]);
    assert.match(lines[0] ?? "", says);
  });
}
