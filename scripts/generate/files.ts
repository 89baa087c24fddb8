// Which files come from the contract's tables, and how each is made. A document keeps its own prose; only the
// part between its `generated` marks belongs to a table.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  configSchemaDocument,
  environmentTable,
  type FaceName,
  faces,
  fileKeysTable,
  metricsLint,
  openapiDocument,
} from "@llama-orch/contract";
import { stringify } from "yaml";
import { errorTables, metricTables, routeTables } from "./tables.ts";

export type StaleFile = { path: string; content: string };

export interface GeneratedFile {
  readonly path: string;
  /** The content the file should have, given the content it has. */
  render(before: string | undefined): string;
}

const openapiFiles = (Object.keys(faces) as FaceName[]).map((face) => ({
  path: `contract/openapi/${face}.yaml`,
  render: () => yaml(openapiDocument(face)),
}));

export const generatedFiles: readonly GeneratedFile[] = [
  ...openapiFiles,
  { path: "contract/config.schema.json", render: () => json(configSchemaDocument()) },
  { path: "ci/metrics.lint.json", render: () => json(metricsLint()) },
  {
    path: "docs/config.md",
    render: (before) =>
      fillMarks("docs/config.md", before, { file: fileKeysTable(), environment: environmentTable() }),
  },
  { path: "docs/errors.md", render: (before) => fillMarks("docs/errors.md", before, errorTables()) },
  { path: "docs/metrics.md", render: (before) => fillMarks("docs/metrics.md", before, metricTables()) },
  { path: "docs/http-api.md", render: (before) => fillMarks("docs/http-api.md", before, routeTables()) },
];

/** Every file below the root that is not what the tables say, with what it should hold. Writes nothing. */
export async function staleFiles(root: string): Promise<StaleFile[]> {
  const stale: StaleFile[] = [];
  for (const { path, render } of generatedFiles) {
    const before = await readFile(join(root, path), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    const content = render(before);
    if (content !== before) stale.push({ path, content });
  }
  return stale;
}

export async function writeFiles(root: string, files: readonly StaleFile[]): Promise<void> {
  for (const { path, content } of files) await writeFile(join(root, path), content);
}

function json(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

function yaml(document: unknown): string {
  const text = stringify(document, { lineWidth: 110, aliasDuplicateObjects: false });
  return `# Generated from the tables in contract/. Change those and run npm run generate.\n${text}`;
}

/** Replaces what stands between `<!-- generated:NAME -->` and `<!-- /generated -->`, for every part. */
export function fillMarks(path: string, before: string | undefined, parts: Record<string, string>): string {
  let text = before ?? "";
  for (const [name, content] of Object.entries(parts)) {
    const open = `<!-- generated:${name} -->`;
    const start = text.indexOf(open);
    const end = text.indexOf("<!-- /generated -->", start);
    if (start < 0 || end < 0) throw new Error(`${path} has no part marked ${open} … <!-- /generated -->.`);
    text = `${text.slice(0, start + open.length)}\n${content}\n${text.slice(end)}`;
  }
  return text;
}
