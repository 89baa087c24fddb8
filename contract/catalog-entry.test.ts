import assert from "node:assert/strict";
import { test } from "node:test";
import { mayMove, parseCatalogInput } from "./catalog-entry.ts";
import { OrchError } from "./errors.ts";
import { ModelState } from "./words.ts";

test("a model moves forward only, and an operator may bring a deprecated one back", () => {
  const moves = ModelState.enum.flatMap((from) =>
    ModelState.enum.filter((to) => mayMove(from, to)).map((to) => `${from} to ${to}`),
  );
  assert.deepEqual(moves, [
    "Draft to Active",
    "Draft to Canary",
    "Active to Deprecated",
    "Active to Retired",
    "Canary to Active",
    "Canary to Deprecated",
    "Deprecated to Active",
    "Deprecated to Retired",
  ]);
});

test("what the catalog does not know of an entry is left out, also inside", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const parsed = parseCatalogInput({ id: "m", sbom: { uri: "u", digest, junk: 1 }, junk: 1 });
  assert.deepEqual(parsed, { id: "m", sbom: { uri: "u", digest } });
});

test("a model without an id is refused in the words the contract gives", () => {
  for (const value of [{}, { id: "" }, null, "text"]) {
    assert.throws(
      () => parseCatalogInput(value),
      (error: unknown) =>
        error instanceof OrchError &&
        error.message === "id required" &&
        error.details.error === "id required",
    );
  }
  assert.throws(() => parseCatalogInput({ id: "m", digest: "md5:1" }), /^OrchError: digest: given "md5:1"/);
});
