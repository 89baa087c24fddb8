// What every artifact store promises, whatever it keeps documents in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type ArtifactDocument, OrchError } from "@llama-orch/contract";
import { type ArtifactPut, type Artifacts, WrittenDocument } from "./artifacts.ts";
import type { Keeping } from "./inventory.ts";

export const roomy: Keeping = { transcriptsMs: 1000, transcriptsBytes: 10_000, uploadsBytes: 10_000 };

const put = (document: ArtifactPut["document"], more: Partial<ArtifactPut> = {}): ArtifactPut => ({
  tenantId: "default",
  document,
  keep: "upload",
  createdMs: 100,
  ...more,
});

const sized = (name: string, bytes: number): ArtifactDocument => ({ name, text: "x".repeat(bytes) });

const isFull = (error: unknown): boolean =>
  error instanceof OrchError && error.code === "ARTIFACT_STORE_FULL" && error.status === 507;

type Open = (keeping: Keeping, use: (artifacts: Artifacts) => Promise<void>) => Promise<void>;

export function artifactsConformance(store: string, open: Open): void {
  storing(store, open);
  sizing(store, open);
  keeping(store, open);
}

function storing(store: string, open: Open): void {
  test(`${store}: a document is stored under the sha256 of its canonical JSON and comes back [CHK-F-22]`, () =>
    open(roomy, async (artifacts) => {
      const document = { kind: "plan", tags: ["a"], content: { b: 1, a: [true, null] }, metadata: {} };
      const created = await artifacts.put(put(document));
      // Computed by `sha256sum` over the canonical text.
      const id = "sha256:b9c4fb0d05b64ff55c530453dfeaae1420c08d971d5e6dee93bbfddc33f10dc8";
      assert.deepEqual(created, { id, kind: "plan", digest: id, created_ms: 100, tags: ["a"] });
      assert.deepEqual(await artifacts.get("default", id), document);
      assert.deepEqual(await artifacts.get("default", id.slice(7)), document);
    }));

  test(`${store}: a document that comes as pieces of its canonical JSON is the same as in one piece`, () =>
    open(roomy, async (artifacts) => {
      const document = { kind: "trace", tags: ["ü"], text: "\u{1f319}" };
      const pieces = ['{"kind":"trace","tags":["ü"]', ',"text":', '"\u{1f319}"}'];
      for (const keep of ["transcript", "upload"] as const) {
        const written = new WrittenDocument("trace", ["ü"], pieces.values());
        const created = await artifacts.put(put(written, { keep, tenantId: keep }));
        assert.deepEqual(created, await artifacts.put(put(document, { keep, tenantId: keep })));
        assert.deepEqual(await artifacts.get(keep, created.id), document);
      }
    }));

  test(`${store}: equal documents are one, and the first one's time counts`, () =>
    open(roomy, async (artifacts) => {
      const first = await artifacts.put(put({ b: 2, a: 1 }));
      const again = await artifacts.put(put({ a: 1, b: 2 }, { createdMs: 999 }));
      assert.deepEqual(again, first);
      assert.equal(first.kind, "doc");
    }));

  test(`${store}: an id lives inside its tenant`, () =>
    open(roomy, async (artifacts) => {
      const { id } = await artifacts.put(put({ a: 1 }, { tenantId: "one" }));
      assert.equal(await artifacts.get("two", id), undefined);
      assert.equal(await artifacts.get("default", id), undefined);
      const other = await artifacts.put(put({ a: 1 }, { tenantId: "two", createdMs: 200 }));
      assert.equal(other.created_ms, 200);
      assert.deepEqual(await artifacts.get("one", id), { a: 1 });
    }));

  test(`${store}: what is no id is not found`, () =>
    open(roomy, async (artifacts) => {
      await artifacts.put(put({ a: 1 }));
      for (const id of ["", "sha256:", "../../etc/passwd", `sha256:${"0".repeat(64)}`, "0".repeat(63)]) {
        assert.equal(await artifacts.get("default", id), undefined, id);
      }
    }));

  test(`${store}: what was handed in or out can be changed without changing what is stored`, () =>
    open(roomy, async (artifacts) => {
      const document = { content: { list: [1] } };
      const { id } = await artifacts.put(put(document));
      document.content.list.push(2);
      const copy = (await artifacts.get("default", id)) as typeof document;
      copy.content.list.push(3);
      assert.deepEqual(await artifacts.get("default", id), { content: { list: [1] } });
    }));

  test(`${store}: many puts of one document at once are one document`, () =>
    open(roomy, async (artifacts) => {
      const puts = Array.from({ length: 20 }, (_, n) =>
        artifacts.put(put(sized("a", 6000), { createdMs: n })),
      );
      const created = await Promise.all(puts);
      assert.deepEqual(new Set(created.map(({ created_ms }) => created_ms)), new Set([0]));
    }));
}

function sizing(store: string, open: Open): void {
  test(`${store}: how large a document is can be asked before it is read`, () =>
    open(roomy, async (artifacts) => {
      for (const keep of ["transcript", "upload"] as const) {
        const { id } = await artifacts.put(put({ text: "ü", keep }, { keep, tenantId: keep }));
        const bytes = Buffer.byteLength(`{"keep":"${keep}","text":"ü"}`);
        assert.equal(await artifacts.sizeOf(keep, id), bytes);
        assert.equal(await artifacts.sizeOf("another", id), undefined);
      }
      assert.equal(await artifacts.sizeOf("default", "no id"), undefined);
    }));

  test(`${store}: without a tenant the default one's document is meant, else whoever's there is`, () =>
    open(roomy, async (artifacts) => {
      const theirs = await artifacts.put(put({ n: 1 }, { tenantId: "acme", keep: "transcript" }));
      const uploaded = await artifacts.put(put({ n: 2 }, { tenantId: "acme" }));
      const common = await artifacts.put(put({ n: 3 }));
      for (const [n, { id }] of [theirs, uploaded, common].entries()) {
        assert.deepEqual(await artifacts.get(undefined, id), { n: n + 1 });
        assert.equal(await artifacts.sizeOf(undefined, id), 7);
      }
      assert.equal(await artifacts.get("default", theirs.id), undefined);
      assert.equal(await artifacts.get(undefined, `sha256:${"0".repeat(64)}`), undefined);
      await artifacts.sweep(1_000_000);
      assert.equal(await artifacts.get(undefined, theirs.id), undefined);
    }));
}

function keeping(store: string, open: Open): void {
  test(`${store}: uploads are refused when their room is used up, and nothing is lost`, () =>
    open(roomy, async (artifacts) => {
      const first = await artifacts.put(put(sized("a", 6000)));
      await assert.rejects(artifacts.put(put(sized("b", 6000))), isFull);
      await artifacts.put(put(sized("a", 6000)));
      await artifacts.put(put(sized("t", 6000), { keep: "transcript" }));
      assert.deepEqual(await artifacts.get("default", first.id), sized("a", 6000));
    }));

  test(`${store}: two uploads at once do not both take the last room`, () =>
    open(roomy, async (artifacts) => {
      const puts = ["a", "b", "c"].map((name) => artifacts.put(put(sized(name, 6000))));
      const results = await Promise.allSettled(puts);
      assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    }));

  test(`${store}: where transcripts have no room left, the oldest go`, () =>
    open(roomy, async (artifacts) => {
      const ids: string[] = [];
      for (const [n, name] of ["a", "b", "c"].entries()) {
        const one = put(sized(name, 4000), { keep: "transcript", createdMs: n });
        ids.push((await artifacts.put(one)).id);
      }
      const found = await Promise.all(ids.map((id) => artifacts.get("default", id)));
      assert.deepEqual(found, [undefined, sized("b", 4000), sized("c", 4000)]);
      const huge = put(sized("d", 20_000), { keep: "transcript" });
      await assert.rejects(artifacts.put(huge), isFull);
      assert.deepEqual(await artifacts.get("default", ids[2] as string), sized("c", 4000));
    }));

  test(`${store}: a sweep removes transcripts that are too old, and no upload`, () =>
    open(roomy, async (artifacts) => {
      const old = await artifacts.put(put({ n: 1 }, { keep: "transcript", createdMs: 100 }));
      const young = await artifacts.put(put({ n: 2 }, { keep: "transcript", createdMs: 101 }));
      const upload = await artifacts.put(put({ n: 3 }, { createdMs: 0 }));
      await artifacts.sweep(1100);
      const found = await Promise.all([old, young, upload].map(({ id }) => artifacts.get("default", id)));
      assert.deepEqual(found, [undefined, { n: 2 }, { n: 3 }]);
    }));

  test(`${store}: a transcript that is uploaded as well takes no room from transcripts any more`, () =>
    open(roomy, async (artifacts) => {
      const puts = ["a", "b", "c"].map((name) => put(sized(name, 4000), { keep: "transcript" }));
      const [first, second, third] = puts as [ArtifactPut, ArtifactPut, ArtifactPut];
      const { id } = await artifacts.put(first);
      await artifacts.put(second);
      await artifacts.put({ ...second, keep: "upload" });
      await artifacts.put({ ...second, createdMs: 999 });
      await artifacts.put(third);
      assert.deepEqual(await artifacts.get("default", id), sized("a", 4000));
    }));

  test(`${store}: a transcript that is uploaded as well is kept like an upload`, () =>
    open(roomy, async (artifacts) => {
      const { id } = await artifacts.put(put({ n: 1 }, { keep: "transcript" }));
      const again = await artifacts.put(put({ n: 1 }, { createdMs: 500 }));
      assert.equal(again.created_ms, 100);
      await artifacts.put(put({ n: 1 }, { keep: "transcript" }));
      await artifacts.sweep(1_000_000);
      assert.deepEqual(await artifacts.get("default", id), { n: 1 });
    }));
}
