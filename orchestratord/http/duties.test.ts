import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { faces } from "@llama-orch/contract";
import { serving } from "./fixtures/serving.ts";

const docs = join(import.meta.dirname, "..", "..", "docs");

interface Duty {
  readonly name: string;
  /** Method and path, as the contract writes them. */
  readonly routes: readonly string[];
  /** Paths of test files, from the folder of the documents. */
  readonly tests: readonly string[];
}

/** The rows of the table under that heading. */
function dutiesIn(document: string): Duty[] {
  const [, section = ""] = document.split("## What orchestratord is there for\n");
  const [text = ""] = section.split("\n## ");
  const rows = text.split("\n").filter((line) => /^\| (?!duty|---)/.test(line));
  return rows.map((row) => {
    const [, name = "", routes = "", tests = ""] = row.split("|").map((cell) => cell.trim());
    return {
      name,
      routes: [...routes.matchAll(/`([^`]+)`/g)].map(([, route]) => route as string),
      tests: [...tests.matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => path as string),
    };
  });
}

/** Whether a test file asks for the route, by its path with an id in it. */
function asks(text: string, route: string): boolean {
  const [method = "", path = ""] = route.split(" ");
  const form = path.replaceAll("/", "\\/").replace("{id}", "[^\\s/\"'`]+");
  const isThere = new RegExp(`["\`]${form}["\`?$]`).test(text);
  return isThere && (method !== "DELETE" || text.includes('"DELETE"'));
}

test(
  "the routes of /v1 are exactly those of the seven duties, each with tests that ask for it, as the documents say " +
    "[CHK-B-01]",
  async (t) => {
    const duties = dutiesIn(readFileSync(join(docs, "http-api.md"), "utf8"));
    const names = [
      "admission",
      "streaming",
      "cancel",
      "sessions",
      "artifacts",
      "capabilities",
      "pool control",
    ];
    assert.deepEqual(
      duties.map(({ name }) => name),
      names,
    );
    const { server } = await serving(t);
    const served = server.registered.map(
      ({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`,
    );
    const stated = duties.flatMap(({ routes }) => routes);
    const beside = faces.operator.routes
      .map(({ method, path }) => `${method} ${path}`)
      .concat("GET /metrics");
    assert.deepEqual(served.filter((route) => !beside.includes(route)).sort(), stated.toSorted());
    for (const { name, routes, tests } of duties) {
      assert.ok(tests.length > 0 && tests.every((path) => path.endsWith(".test.ts")), name);
      const texts = tests.map((path) => readFileSync(join(docs, path), "utf8"));
      for (const route of routes)
        assert.ok(
          texts.some((text) => asks(text, route)),
          `${name}: ${route}`,
        );
      for (const [n, text] of texts.entries()) {
        const other = `${name}: ${tests[n]} asks for none of its routes`;
        assert.ok(/\btest\(/.test(text) && routes.some((route) => asks(text, route)), other);
      }
    }
  },
);
