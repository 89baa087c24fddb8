import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OrchError } from "@llama-orch/contract";
import { artifactsConformance, roomy } from "./artifacts.conformance.ts";
import type { ArtifactPut } from "./artifacts.ts";
import { FileArtifacts } from "./files.ts";
import type { Keeping } from "./inventory.ts";
import { MemoryArtifacts } from "./memory.ts";

async function inFolder(use: (root: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "artifacts-"));
  try {
    await use(join(folder, "root"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function opened(
  root: string,
  use: (artifacts: FileArtifacts) => Promise<void>,
  keeping: Keeping = roomy,
): Promise<void> {
  const artifacts = await FileArtifacts.open({ root, keeping });
  try {
    await use(artifacts);
  } finally {
    await artifacts.close();
  }
}

artifactsConformance("artifacts in files", (keeping, use) => inFolder((root) => opened(root, use, keeping)));

const upload = { tenantId: "default", keep: "upload", createdMs: 1234 } as const;

test("an upload is a file of its canonical JSON, named by the hash of its content [CHK-F-23]", () =>
  inFolder(async (root) => {
    await opened(root, async (artifacts) => {
      const { id } = await artifacts.put({ ...upload, document: { b: "ü", a: 1 } });
      const content = await readFile(join(root, id.slice(7)));
      assert.equal(content.toString(), '{"a":1,"b":"ü"}');
      assert.equal(`sha256:${createHash("sha256").update(content).digest("hex")}`, id);
      assert.deepEqual(await artifacts.get("default", id), { a: 1, b: "ü" });
    });
  }));

test("a put writes the store and its mirror; a get asks the store first, then the mirror [CHK-F-17]", () =>
  inFolder(async (root) => {
    const mirror = new MemoryArtifacts({ keeping: roomy, documentsMax: 64 });
    const artifacts = await FileArtifacts.open({ root, keeping: roomy, mirror });
    const { id } = await artifacts.put({ ...upload, document: { n: 1 } });
    assert.deepEqual(await mirror.get("default", id), { n: 1 });
    await writeFile(join(root, id.slice(7)), '{"n":"from the store"}');
    assert.deepEqual(await artifacts.get("default", id), { n: "from the store" });
    await rm(join(root, id.slice(7)));
    assert.deepEqual(await artifacts.get("default", id), { n: 1 });
    const old = await artifacts.put({ ...upload, keep: "transcript", document: { n: 2 } });
    await artifacts.sweep(1_000_000);
    assert.equal(await artifacts.get("default", old.id), undefined);
    await artifacts.close();
  }));

test("nobody but the owner may read files and folders", () =>
  inFolder(async (root) => {
    await opened(root, async (artifacts) => {
      await artifacts.put({ ...upload, tenantId: "a", keep: "transcript", document: { n: 1 } });
    });
    for (const name of ["", ...(await readdir(root, { recursive: true }))]) {
      const facts = await stat(join(root, name));
      assert.equal(facts.mode & 0o777, facts.isDirectory() ? 0o700 : 0o600, name);
    }
  }));

test("a restart knows documents, their times, their keeping and the room they take", () =>
  inFolder(async (root) => {
    const documents = { upload: { n: 1, text: "x".repeat(6000) }, transcript: { n: 2 } };
    const ids: string[] = [];
    await opened(root, async (artifacts) => {
      for (const keep of ["upload", "transcript"] as const) {
        const put = { tenantId: "a..b:c", keep, createdMs: 1234, document: documents[keep] };
        ids.push((await artifacts.put(put)).id);
      }
    });
    await opened(root, async (artifacts) => {
      const found = await Promise.all(ids.map((id) => artifacts.get("a..b:c", id)));
      assert.deepEqual(found, [documents.upload, documents.transcript]);
      const again = { ...upload, tenantId: "a..b:c", createdMs: 9, document: documents.upload };
      assert.equal((await artifacts.put(again)).created_ms, 1234);
      const other = artifacts.put({ ...upload, document: { n: 3, text: "x".repeat(6000) } });
      await assert.rejects(other, (error: OrchError) => error.code === "ARTIFACT_STORE_FULL");
      await artifacts.sweep(2234);
      assert.equal(await artifacts.get("a..b:c", ids[1] as string), undefined);
    });
  }));

test("a transcript that is uploaded as well outlives the transcripts, also after a restart", () =>
  inFolder(async (root) => {
    const transcript = { ...upload, keep: "transcript", document: { n: 1 } } as const;
    const { id } = await new MemoryArtifacts({ keeping: roomy }).put(transcript);
    await opened(root, async (artifacts) => {
      await artifacts.put(transcript);
      assert.equal(
        (await artifacts.put({ ...upload, createdMs: 9999, document: { n: 1 } })).created_ms,
        1234,
      );
    });
    await opened(root, async (artifacts) => {
      assert.equal((await artifacts.put({ ...transcript, createdMs: 9999 })).created_ms, 1234);
      // The one in the log is no longer kept there, so its file goes at once.
      assert.deepEqual(await readdir(join(root, "transcripts")), []);
      await artifacts.sweep(1_000_000);
      assert.deepEqual(await artifacts.get("default", id), { n: 1 });
    });
  }));

test("after a restart an upload takes no room from transcripts that once lay beside it", () =>
  inFolder(async (root) => {
    const sized = (size: number): ArtifactPut => ({
      ...upload,
      keep: "transcript",
      document: { text: "x".repeat(size) },
    });
    const [tiny, a, b, c] = [sized(1), sized(4000), sized(4001), sized(4002)] as const;
    await opened(root, async (artifacts) => {
      // The first is a group, the others the next, and so they share a file.
      await Promise.all([tiny, a, b].map((put) => artifacts.put(put)));
      await artifacts.put({ ...b, keep: "upload" });
    });
    await opened(root, async (artifacts) => {
      await artifacts.put(c);
      const { id } = await new MemoryArtifacts({ keeping: roomy }).put(a);
      assert.deepEqual(await artifacts.get("default", id), a.document);
    });
  }));

test("what a crash left half written is removed at the next start and never served", () =>
  inFolder(async (root) => {
    await opened(root, async () => {});
    await writeFile(join(root, "aside", "left-over"), '{"half":');
    await opened(root, async (artifacts) => {
      const { id } = await artifacts.put({ ...upload, document: { n: 1 } });
      assert.deepEqual(await artifacts.get("default", id), { n: 1 });
    });
    assert.deepEqual(await readdir(join(root, "aside")), []);
  }));

test("a tenant id is never a way out of the folder", () =>
  inFolder(async (root) => {
    await opened(root, async (artifacts) => {
      for (const tenantId of ["..", ".", "aside", "transcripts", "tenants"]) {
        const { id } = await artifacts.put({ ...upload, tenantId, document: { n: 1 } });
        assert.deepEqual(await artifacts.get(tenantId, id), { n: 1 });
      }
      for (const tenantId of ["../x", "a/b", "", "a\0b"]) {
        await assert.rejects(artifacts.put({ ...upload, tenantId, document: { n: 1 } }), OrchError);
      }
    });
    assert.deepEqual(await readdir(join(root, "..")), ["root"]);
    assert.deepEqual((await readdir(root)).sort(), ["aside", "tenants"]);
    assert.equal((await readdir(join(root, "tenants"))).length, 5);
  }));

test("a write that fails leaves nothing behind, takes no room, and may be repeated", () =>
  inFolder(async (root) => {
    await opened(
      root,
      async (artifacts) => {
        const put = { ...upload, document: { text: "x".repeat(6000) } };
        const { id } = await artifacts.put({ ...put, tenantId: "probe" });
        // A folder stands where the file has to go.
        await mkdir(join(root, id.slice(7)));
        for (const { status } of await Promise.allSettled([artifacts.put(put), artifacts.put(put)])) {
          assert.equal(status, "rejected");
        }
        await rm(join(root, id.slice(7)), { recursive: true });
        assert.deepEqual(await readdir(join(root, "aside")), []);
        assert.equal((await artifacts.put(put)).id, id);
        assert.deepEqual(await artifacts.get("default", id), put.document);
      },
      { ...roomy, uploadsBytes: 13_000 },
    );
  }));
