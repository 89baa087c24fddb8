import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { errorTable } from "@llama-orch/contract";
import { fillMarks, generatedFiles } from "./files.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFile(join(root, path), "utf8");

test("a second generation changes no byte of any generated file", async () => {
  for (const { path, render } of generatedFiles) {
    const once = render(await read(path));
    assert.equal(render(once), once, path);
  }
});

test("generating again neither changes nor touches a file [OC-CONFIG-6010]", async () => {
  const facts = async () =>
    Promise.all(
      generatedFiles.map(async ({ path }) => [await read(path), (await stat(join(root, path))).mtimeMs]),
    );
  const before = await facts();
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, "scripts/generate.ts")]);
  assert.match(stdout, /generated files are current/);
  assert.deepEqual(await facts(), before);
});

test("a status that changes in the error table makes its documents stale", async () => {
  const row = errorTable.NOT_FOUND as { status: number };
  const stale: string[] = [];
  row.status = 418;
  try {
    for (const { path, render } of generatedFiles) {
      const text = await read(path);
      if (render(text) !== text) stale.push(path);
    }
  } finally {
    row.status = 404;
  }
  assert.deepEqual(stale, [
    "contract/openapi/orchqueue.yaml",
    "contract/openapi/operator.yaml",
    "docs/errors.md",
  ]);
});

test("only what stands between the marks belongs to a table", () => {
  const before = "# A\nmine\n<!-- generated:t -->\nold\n<!-- /generated -->\nalso mine\n";
  const after = "# A\nmine\n<!-- generated:t -->\nnew\n<!-- /generated -->\nalso mine\n";
  assert.equal(fillMarks("a.md", before, { t: "new" }), after);
  assert.throws(
    () => fillMarks("a.md", "no marks", { t: "new" }),
    /a\.md has no part marked <!-- generated:t -->/,
  );
});
