import assert from "node:assert/strict";
import { test } from "node:test";
import { checkMap } from "./map.ts";
import { makeTree } from "./tree.ts";

const files = {
  "core/queue/fair.ts": "",
  "orchestratord/http/reply.ts": "",
  "docs/config.md": "",
  "package.json": "{}",
};

function faults(path: string, text: string): string[] {
  return checkMap(makeTree({ ...files, [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

test("ARCHITECTURE.md names only what exists", () => {
  assert.deepEqual(faults("ARCHITECTURE.md", "\n`core/queue/fare.ts`, `loop.ts` and `core/policy/`"), [
    "2 `core/queue/fare.ts` does not exist in the tree; correct the name.",
    "2 `loop.ts` does not exist in the tree; correct the name.",
    "2 `core/policy/` does not exist in the tree; correct the name.",
  ]);
  const good = "`core/` `core/queue/fair.ts` `fair.ts` `queue/fair` `http/reply` `package.json`";
  assert.deepEqual(faults("ARCHITECTURE.md", good), []);
});

test("the files in its drawings exist too", () => {
  assert.deepEqual(faults("ARCHITECTURE.md", "```\nfair.ts → loop.ts (queue/*.ts)\n```"), [
    "2 `loop.ts` does not exist in the tree; correct the name.",
  ]);
});

test("addresses, globs, placeholders, packages, commands and media types are not files", () => {
  const text =
    "`/v1/tasks` `openapi/*.yaml` `docs/<name>.md` `x/{a,b}.ts` `@llama-orch/core` `POST /v1/tasks` " +
    "`text/event-stream` `../a/b.ts` `node:sqlite` `node_modules/x.ts` `~/a/b.yaml`";
  assert.deepEqual(faults("ARCHITECTURE.md", text), []);
  assert.deepEqual(faults("docs/a.md", text), []);
});

test("other documents are held to names with a folder and an ending", () => {
  assert.deepEqual(faults("docs/a.md", "`queue/fare.ts` but `config.yaml` and `and/or`"), [
    "1 `queue/fare.ts` does not exist in the tree; correct the name.",
  ]);
  assert.deepEqual(faults("README.md", "`core/queue/fair.ts`\n```\ncat core/x.ts `a/b.ts`\n```"), []);
});

test("a relative link leads somewhere", () => {
  assert.deepEqual(
    faults("docs/a.md", "[a](config.md#top) [b](../core) [c](/docs/config.md) [d](https://x.org) [e](#f)"),
    [],
  );
  assert.deepEqual(faults("docs/a.md", "\n[a](docs/config.md)"), [
    "2 The link to docs/config.md leads nowhere; correct it.",
  ]);
  assert.deepEqual(faults("docs/a.md", "`[a](nowhere.md)`"), []);
});
