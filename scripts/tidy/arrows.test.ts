import assert from "node:assert/strict";
import { test } from "node:test";
import { checkArrows } from "./arrows.ts";
import { makeTree } from "./tree.ts";

const rooms: Record<string, object> = {
  contract: { exports: { ".": "./index.ts" }, dependencies: { typebox: "1.4.3" } },
  core: { exports: "./index.ts", dependencies: { "@llama-orch/contract": "*" } },
  engines: { exports: { "./adapter": "./adapter.ts", "./provision": "./provision.ts" } },
  harness: { exports: "./index.ts" },
  orchestratord: {
    exports: "./app.ts",
    dependencies: { "@llama-orch/core": "*", "@llama-orch/engines": "*" },
  },
  "pool-managerd": { exports: "./app.ts", dependencies: { "@llama-orch/engines": "*" } },
  sdk: {},
  cli: { dependencies: { "@llama-orch/orchestratord": "*", "@llama-orch/pool-managerd": "*" } },
};

const house: Record<string, string> = {
  "package.json": JSON.stringify({
    workspaces: Object.keys(rooms),
    devDependencies: { "fast-check": "4.10.2", yaml: "2.9.1" },
  }),
  ...Object.fromEntries(
    Object.entries(rooms).map(([room, manifest]) => [
      `${room}/package.json`,
      JSON.stringify({ name: `@llama-orch/${room}`, ...manifest }),
    ]),
  ),
};

function faults(path: string, ...specifiers: string[]): string[] {
  const text = specifiers.map((specifier) => `import "${specifier}";`).join("\n");
  return checkArrows(makeTree({ ...house, [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

test("the drawn arrows may be followed, and the command line starts both daemons", () => {
  assert.deepEqual(faults("core/a.ts", "@llama-orch/contract"), []);
  assert.deepEqual(faults("orchestratord/a.ts", "@llama-orch/core", "@llama-orch/engines/adapter"), []);
  assert.deepEqual(faults("pool-managerd/a.ts", "@llama-orch/engines/provision"), []);
  assert.deepEqual(faults("cli/a.ts", "@llama-orch/orchestratord", "@llama-orch/pool-managerd"), []);
  assert.deepEqual(faults("scripts/a.ts", "@llama-orch/core", "yaml", "node:fs"), []);
});

test("an import against the arrows is refused, and so is the other daemon", () => {
  assert.deepEqual(faults("contract/a.ts", "node:fs", "@llama-orch/core"), [
    "2 contract/ must not import core/; it may import no other workspace. " +
      "Move the shared words to contract/ or pass a port.",
  ]);
  assert.deepEqual(faults("pool-managerd/a.ts", "@llama-orch/orchestratord"), [
    "1 pool-managerd/ must not import orchestratord/; it may import only contract, engines/provision, catalog. " +
      "Move the shared words to contract/ or pass a port.",
  ]);
  assert.match(faults("sdk/a.ts", "@llama-orch/harness")[0] ?? "", /sdk\/ must not import harness\//);
});

test("type-only, dynamic and re-exporting imports are imports", () => {
  const text = [
    'import type { A } from "@llama-orch/core";',
    'export * from "@llama-orch/core";',
    'const late = await import("@llama-orch/core");',
    'type B = import("@llama-orch/core").B;',
  ].join("\n");
  const problems = checkArrows(makeTree({ ...house, "sdk/a.ts": text }));
  assert.deepEqual(
    problems.map(({ line }) => line),
    [1, 2, 3, 4],
  );
});

test("each daemon enters engines by its own door", () => {
  assert.deepEqual(faults("orchestratord/a.ts", "@llama-orch/engines/provision"), [
    "1 orchestratord/ enters engines/ only by @llama-orch/engines/adapter; import that door.",
  ]);
});

test("a workspace is entered only by a door that its exports name", () => {
  assert.deepEqual(faults("core/a.ts", "@llama-orch/contract/errors.ts", "@llama-orch/kontract"), [
    '1 "@llama-orch/contract/errors.ts" is not a door; import what the exports of contract/package.json name.',
    '2 There is no workspace kontract/; correct the name in "@llama-orch/kontract".',
  ]);
});

test("a relative import stays inside its workspace", () => {
  assert.deepEqual(faults("core/queue/a.ts", "../heap.ts"), []);
  assert.deepEqual(faults("core/a.ts", "../contract/ids.ts"), [
    '1 "../contract/ids.ts" crosses the border of core/; enter another workspace by its door, @llama-orch/<name>.',
  ]);
});

test("a package declares what it imports", () => {
  assert.deepEqual(faults("contract/a.ts", "typebox", "typebox/value", "fs"), []);
  assert.deepEqual(faults("sdk/a.ts", "@llama-orch/contract", "@scope/name/deep"), [
    "1 @llama-orch/contract is not declared; add it to the dependencies of sdk/package.json.",
    "2 @scope/name is not declared; add it to the dependencies of sdk/package.json.",
  ]);
});

test("a package's own tests import that package, what it declares and the root's test tools", () => {
  const own = ["./a.ts", "@llama-orch/core", "@llama-orch/contract", "node:test", "fast-check"];
  assert.deepEqual(faults("core/a.test.ts", ...own), []);
  assert.match(faults("core/a.test.ts", "@llama-orch/engines/adapter")[0] ?? "", /must not import engines/);
  assert.match(faults("core/a.ts", "fast-check")[0] ?? "", /fast-check is not declared/);
});

test("the harness enters every room it declares, and like a test uses the root's tools and its own support", () => {
  const declaring = { name: "@llama-orch/harness", dependencies: { "@llama-orch/core": "*" } };
  const tree = (imports: readonly string[]) => ({
    ...house,
    "harness/package.json": JSON.stringify(declaring),
    "harness/sim.ts": imports.map((specifier) => `import "${specifier}";`).join("\n"),
  });
  const told = (...imports: string[]) => checkArrows(makeTree(tree(imports))).map(({ message }) => message);
  assert.deepEqual(
    told("@llama-orch/core", "fast-check", "node:fs", "./fixtures/day.ts", "./law.conformance.ts"),
    [],
  );
  assert.deepEqual(told("../scripts/test/suite.ts"), []);
  assert.match(told("@llama-orch/contract")[0] ?? "", /not declared; add it to .* harness\/package\.json/);
  assert.match(told("../core/fixtures/world.ts")[0] ?? "", /crosses the border of harness\//);
  assert.match(faults("scripts/a.ts", "../harness/sim.ts")[0] ?? "", /crosses the border of scripts\//);
});

test("the product does not stand on its tests' support", () => {
  assert.deepEqual(faults("core/queue/fifo.ts", "./queue.conformance.ts"), [
    '1 "./queue.conformance.ts" is there for tests only; move what the product needs out of it.',
  ]);
  assert.deepEqual(faults("core/queue/fifo.test.ts", "./queue.conformance.ts"), []);
});

test("a folder with sources is a workspace with an arrow", () => {
  assert.deepEqual(checkArrows(makeTree({ ...house, "billing/a.ts": "", "gateway/a.ts": "" })), [
    {
      path: "billing/a.ts",
      line: 1,
      message: "No arrow is drawn for billing/; add a row for it to the table in scripts/tidy/arrows.ts.",
    },
    {
      path: "gateway/a.ts",
      line: 1,
      message:
        "gateway/ is no workspace yet; give it a package.json with the name @llama-orch/gateway " +
        "and list it in the root package.json.",
    },
  ]);
});
