// What the checks may look at: files, folders, links, free space and the output of a program. Read only, and
// nothing but this machine; what is not there or not allowed is undefined, since that is a finding.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";

export interface Inspector {
  read(path: string): string | undefined;
  /** Empty where there is no such folder. */
  names(folder: string): readonly string[];
  target(link: string): string | undefined;
  /** For a path that need not exist yet: of the folder it would be made in. */
  freeBytes(path: string): number | undefined;
  /** What it printed when it ended well. */
  run(program: string, args: readonly string[]): Promise<string | undefined>;
}

const runMaxMs = 10_000;

/** `root` stands in front of every path, so that a test can show it another machine. */
export function fileInspector(root = ""): Inspector {
  return {
    read: (path) => attempt(() => readFileSync(join(root, path), "utf8")),
    names: (folder) => attempt(() => readdirSync(join(root, folder))) ?? [],
    target: (link) => attempt(() => readlinkSync(join(root, link))),
    freeBytes(path) {
      for (let at = join(root, path); ; at = dirname(at)) {
        const space = attempt(() => statfsSync(at));
        if (space !== undefined) return space.bavail * space.bsize;
        if (at === dirname(at)) return undefined;
      }
    },
    run: (program, args) =>
      new Promise((resolve) => {
        execFile(program, [...args], { timeout: runMaxMs }, (error, stdout) =>
          resolve(error === null ? stdout : undefined),
        );
      }),
  };
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    // Missing, or not for us to see: both mean that the check knows nothing of it.
    return undefined;
  }
}
