import assert from "node:assert/strict";
import { appendFile, cp, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { errorTable } from "@llama-orch/contract";
import { fillMarks, generatedFiles, staleFiles, writeFiles } from "./files.ts";

const root = join(import.meta.dirname, "../..");

/** The generated files in a folder of their own: repairing the real ones would hide their faults. */
async function copyOfTree(t: TestContext): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "llama-orch-generate-"));
  t.after(() => rm(copy, { recursive: true, force: true }));
  for (const { path } of generatedFiles) await cp(join(root, path), join(copy, path));
  return copy;
}

test("generating again neither changes nor touches a file [OC-CONFIG-6010]", async (t) => {
  const copy = await copyOfTree(t);
  const facts = () =>
    Promise.all(
      generatedFiles.map(async ({ path }) => {
        const file = join(copy, path);
        return [await readFile(file, "utf8"), (await stat(file)).mtimeMs];
      }),
    );
  await writeFiles(copy, await staleFiles(copy));
  const before = await facts();
  await writeFiles(copy, await staleFiles(copy));
  assert.deepEqual(await facts(), before);
});

test("a file that was changed by hand is told and stays as it is until it is written", async (t) => {
  const copy = await copyOfTree(t);
  await writeFiles(copy, await staleFiles(copy));
  const lint = join(copy, "ci/metrics.lint.json");
  const right = await readFile(lint, "utf8");
  await appendFile(lint, "\n");
  await rm(join(copy, "contract/config.schema.json"));
  const stale = await staleFiles(copy);
  assert.deepEqual(
    stale.map(({ path }) => path),
    ["contract/config.schema.json", "ci/metrics.lint.json"],
  );
  assert.equal(await readFile(lint, "utf8"), `${right}\n`);
  await writeFiles(copy, stale);
  assert.equal(await readFile(lint, "utf8"), right);
  assert.deepEqual(await staleFiles(copy), []);
});

test("a status that changes in the error table makes its documents stale", async (t) => {
  const copy = await copyOfTree(t);
  await writeFiles(copy, await staleFiles(copy));
  const row = errorTable.NOT_FOUND as { status: number };
  row.status = 418;
  try {
    const stale = await staleFiles(copy);
    assert.deepEqual(
      stale.map(({ path }) => path),
      ["contract/openapi/orchqueue.yaml", "contract/openapi/operator.yaml", "docs/errors.md"],
    );
  } finally {
    row.status = 404;
  }
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
