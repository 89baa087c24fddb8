import assert from "node:assert/strict";
import { test } from "node:test";
import { artifactsConformance, roomy } from "./artifacts.conformance.ts";
import { MemoryArtifacts } from "./memory.ts";

artifactsConformance("artifacts in memory", async (keeping, use) => {
  const artifacts = new MemoryArtifacts({ keeping });
  await use(artifacts);
  await artifacts.close();
});

test("a mirror holds so many documents and no more; the longest stored go first", async () => {
  const artifacts = new MemoryArtifacts({ keeping: roomy, documentsMax: 2 });
  const ids: string[] = [];
  for (const n of [1, 2, 3]) {
    const put = { tenantId: "default", document: { n }, keep: "upload", createdMs: n } as const;
    ids.push((await artifacts.put(put)).id);
  }
  const found = await Promise.all(ids.map((id) => artifacts.get("default", id)));
  assert.deepEqual(found, [undefined, { n: 2 }, { n: 3 }]);
});
