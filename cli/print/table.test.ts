import assert from "node:assert/strict";
import { test } from "node:test";
import { type Column, tableText, widthOf } from "./table.ts";

interface Row {
  readonly name: string;
  readonly size: number;
}

const columns: readonly Column<Row>[] = [
  { title: "NAME", of: ({ name }) => name },
  { title: "SIZE", of: ({ size }) => size },
];

test("columns are as wide as their widest cell, and numbers stand right", () => {
  const rows = [
    { name: "a", size: 1 },
    { name: "longer", size: 1234 },
  ];
  assert.equal(tableText(columns, rows), "NAME    SIZE\na          1\nlonger  1234\n");
});

test("no line is wider than the terminal: the widest column gives way and says so", () => {
  const rows = [{ name: "a-name-that-is-far-too-long-for-this", size: 12 }];
  const lines = tableText(columns, rows, { widthMax: 20 }).trimEnd().split("\n");
  assert.deepEqual(lines, ["NAME            SIZE", "a-name-that-i…    12"]);
});

test("wide characters count as two columns, so that what follows stays aligned", () => {
  const rows = [
    { name: "月の光", size: 1 },
    { name: "e\u0301te\u0301", size: 2 },
  ];
  const lines = tableText(columns, rows).trimEnd().split("\n");
  assert.deepEqual(lines.map(widthOf), [12, 12, 12]);
});

test("colours do not count as width", () => {
  const red: Column<Row>[] = [
    { ...columns[0], title: "NAME", of: ({ name }) => name, paint: (text) => `<${text}>` },
  ];
  assert.equal(tableText(red, [{ name: "ab", size: 0 }]), "NAME\n<ab  >\n");
});

test("a cell cannot break its line or steer the terminal", () => {
  const text = tableText(columns, [{ name: "a\nb\u001b[2Jc\u202e", size: 1 }]);
  assert.equal(text.split("\n").length, 3);
  assert.ok(text.includes("a\\u000ab\\u001b[2Jc\\u202e"));
});
