// `llorch doctor`: what this machine has and lacks, and what to do about it. It changes nothing and asks no
// network.

import { resolve } from "node:path";
import { type Context, print } from "../context.ts";
import { Refusal } from "../failure.ts";
import { safeText } from "../print/safe-text.ts";
import { type Output, paint, type Style, widthOf } from "../terminal.ts";
import { checkData } from "./data-directory.ts";
import type { Finding, Level } from "./finding.ts";
import { checkGraphics } from "./graphics.ts";
import type { Inspector } from "./inspector.ts";
import { checkDisk, checkMemory, checkNode, checkPort, checkTools } from "./machine.ts";

export interface DoctorWish {
  /** Instead of the one that the environment names. */
  readonly dataDir?: string;
}

export async function runDoctor(
  context: Context,
  inspector: Inspector,
  nodeVersion: string,
  wish: DoctorWish,
): Promise<void> {
  const { libraryFolders, programFolders } = context.settings;
  const dataDir = resolve(wish.dataDir ?? context.settings.dataDir);
  const { surveyData } = await import("@llama-orch/orchestratord/survey");
  const findings = [
    checkNode(nodeVersion),
    ...(await checkGraphics(inspector, libraryFolders)),
    checkMemory(inspector),
    checkDisk(inspector, dataDir),
    ...checkData(dataDir, surveyData(dataDir), inspector.freeBytes(dataDir)),
    checkPort(inspector, portOf(context.settings.listenAddress)),
    ...checkTools(inspector, programFolders),
  ];
  const bad = findings.filter(({ level }) => level === "bad").length;
  print(context, { ok: bad === 0, findings }, () => reportText(findings, context.terminal.out));
  if (bad === 0) return;
  throw new Refusal(bad === 1 ? "One thing is bad." : `${bad} things are bad.`);
}

const usualPort = 8080;

function portOf(address: string | undefined): number {
  const port = Number(address?.split(":").at(-1));
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : usualPort;
}

const styles: Record<Level, Style> = { ok: "green", warn: "yellow", bad: "red" };
const levelWidth = 4;

/** What to do stands below what was found, under its words. */
export function reportText(findings: readonly Finding[], out: Output): string {
  const checkWidth = Math.max(...findings.map(({ check }) => check.length));
  const indent = levelWidth + checkWidth + 4;
  const width = Math.max(30, (out.isTTY ? widthOf(out) : Number.POSITIVE_INFINITY) - indent);
  const lines = findings.flatMap(({ check, level, says, todo }) => {
    const [first = "", ...rest] = wrap(safeText(says), width);
    const head = `${paint(styles[level], level.padEnd(levelWidth), out)}  ${check.padEnd(checkWidth)}  ${first}`;
    const below = [...rest, ...(todo === undefined ? [] : wrap(safeText(todo), width))];
    return [head, ...below.map((line) => " ".repeat(indent) + line)];
  });
  return `${lines.join("\n")}\n`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
