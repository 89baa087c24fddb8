// The contract's tables as Markdown, for the documents in docs/.

import {
  type ErrorCode,
  type ErrorRow,
  errorsOf,
  errorTable,
  faces,
  labelBudgets,
  type MetricRow,
  markdownTable,
  metricTable,
  type Route,
} from "@llama-orch/contract";

const code = (text: string) => `\`${text}\``;

export function errorTables(): Record<string, string> {
  const rows = Object.entries(errorTable) as [ErrorCode, ErrorRow][];
  const table = (family: ErrorRow["family"]) =>
    markdownTable(
      ["code", "HTTP", "retriable", "may also carry", "what it means and what to do"],
      rows
        .filter(([, row]) => row.family === family)
        .map(([name, row]) => [
          code(name),
          String(row.status),
          row.retriable ? "yes" : "no",
          row.advisory.map(code).join(" "),
          row.says,
        ]),
    );
  return { task: table("task"), edge: table("edge") };
}

export function metricTables(): Record<string, string> {
  const rows = Object.entries(metricTable) as [string, MetricRow][];
  const table = (by: MetricRow["by"][number]) =>
    markdownTable(
      ["series", "type", "labels", "what it counts"],
      rows
        .filter(([, row]) => row.by.includes(by))
        .map(([name, row]) => [
          code(name),
          row.type,
          row.labels.map(code).join(" "),
          row.buckets ? `${row.says} Buckets: ${row.buckets.join(", ")}.` : row.says,
        ]),
    );
  const budgets = markdownTable(
    ["label", "distinct values"],
    Object.entries(labelBudgets).map(([label, budget]) => [code(label), String(budget)]),
  );
  return { orchestratord: table("orchestratord"), "pool-managerd": table("pool-managerd"), budgets };
}

export function routeTables(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(faces).map(([face, { routes }]) => [face, routeTable(face, routes)]),
  );
}

function routeTable(face: string, routes: readonly Route[]): string {
  const failures = (route: Route) => (face === "pool-managerd" ? "" : errorsOf(route).map(code).join(" "));
  return markdownTable(
    ["route", "what it does", "answers", "errors"],
    routes.map((route) => [
      code(`${route.method} ${route.path}`),
      route.summary,
      Object.keys(route.replies).join(", "),
      failures(route),
    ]),
  );
}
