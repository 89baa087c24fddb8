import assert from "node:assert/strict";
import { test } from "node:test";
import { environmentNames } from "./environment.ts";
import { configExamples } from "./examples.ts";
import { environmentTable, fileKeysTable } from "./reference.ts";
import { resolveConfig } from "./resolve.ts";
import { configSchemaDocument } from "./schema-document.ts";

test("the schema's examples show loopback, LAN and proxy, and each resolves [OC-CONFIG-6031]", () => {
  const document = configSchemaDocument();
  assert.deepEqual(
    document.examples,
    configExamples.map(({ file }) => file),
  );
  assert.deepEqual(
    configExamples.map(({ title }) => title),
    ["loopback development", "LAN exposure with a token", "behind a reverse proxy that ends TLS"],
  );
  for (const { title, file, environment } of configExamples) {
    const result = resolveConfig({ file, environment });
    assert.ok(result.ok && result.warnings.length === 0, title);
  }
});

test("the example for the LAN holds only together with its token", () => {
  const lan = configExamples[1];
  assert.ok(lan && !resolveConfig({ file: lan.file }).ok);
});

test("the schema document is the same each time, with a dialect, an id and no annotation of ours", () => {
  const text = JSON.stringify(configSchemaDocument());
  assert.equal(JSON.stringify(configSchemaDocument()), text);
  assert.match(text, /^\{"\$schema":"https:\/\/json-schema\.org\/draft\/2020-12\/schema","\$id":"urn:/);
  assert.ok(!text.includes('"x-'), "an annotation leaked");
});

test("the tables have a row for every variable and every key, of equal width", () => {
  for (const table of [environmentTable(), fileKeysTable()]) {
    const widths = table
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/(?<!\\)\|/).length);
    assert.equal(new Set(widths).size, 1);
    assert.equal(table, table.replaceAll("undefined", ""));
  }
  for (const name of environmentNames) assert.ok(environmentTable().includes(`| \`${name}\``), name);
  for (const path of ["pools[].queue.capacity", "node.addr", "tenants[].budgets.cost", "shutdown_ms"]) {
    assert.ok(fileKeysTable().includes(`| \`${path}\` |`), path);
  }
});
