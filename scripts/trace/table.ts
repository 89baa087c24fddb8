// The ledger for the eye: one row per area, or one line per id of an area. Returns text and prints nothing.

import type { Area } from "./ledger.ts";
import type { States } from "./state.ts";

const LINE_MAX = 110;
const COLUMNS = ["ids", "must", "dropped", "tested", "passing", "must passing"] as const;

export type Row = Record<(typeof COLUMNS)[number], number>;

export function countRow(areas: readonly Area[], states: States): Row {
  const all = areas.flatMap(({ requirements }) => requirements);
  const must = all.filter(({ level }) => level === "must");
  const passes = ({ id }: { id: string }) => states.get(id) === "passing";
  return {
    ids: all.length,
    must: must.length,
    dropped: all.filter(({ level }) => level === "dropped").length,
    tested: all.filter(({ id }) => !["dropped", "no test"].includes(states.get(id) ?? "no test")).length,
    passing: all.filter(passes).length,
    "must passing": must.filter(passes).length,
  };
}

export function areaTable(areas: readonly Area[], states: States): string {
  const rows = areas.map((area) => [area.name, countRow([area], states)] as const);
  const labelled = [...rows, ["total", countRow(areas, states)] as const];
  const widest = Math.max(...labelled.map(([name]) => name.length));
  const line = (name: string, cells: readonly string[]) =>
    [name.padEnd(widest), ...cells.map((cell, index) => cell.padStart(COLUMNS[index]?.length ?? 0))].join(
      "  ",
    );
  return [
    line("area", COLUMNS),
    ...labelled.map(([name, row]) =>
      line(
        name,
        COLUMNS.map((at) => String(row[at])),
      ),
    ),
  ]
    .map((text) => text.trimEnd())
    .join("\n");
}

export function areaDetail({ requirements }: Area, states: States): string {
  const lines = requirements.map(({ id, level, says, tests = [] }) => {
    const state = states.get(id) ?? "no test";
    const start = `${id.padEnd(16)} ${level.padEnd(7)} ${state.padEnd(9)} `;
    return [
      shorten(start + says),
      ...(state === "passing" ? [] : tests.map((path) => `${" ".repeat(17)}${path}`)),
    ];
  });
  return lines.flat().join("\n");
}

function shorten(text: string): string {
  return text.length <= LINE_MAX ? text : `${text.slice(0, LINE_MAX - 1)}…`;
}
