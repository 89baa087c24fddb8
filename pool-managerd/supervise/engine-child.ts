// An engine as a child process: it is put into a process group of its own, so that Ctrl-C in a terminal
// does not reach it and its own children end with it; and it is bound to the thread that starts it, so
// that the kernel ends it, stopped or not, when that thread dies. Its standard input, and the IPC channel
// of one that knows what that is, stay open for as long as we live.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { EngineLaunch } from "@llama-orch/engines/provision";

/** Variables of a process, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface EngineChild {
  readonly pid: number;
  /** Aborted as soon as the process has exited; its last words may still be on their way. */
  readonly gone: AbortSignal;
  /** Resolves when the process is gone and everything it wrote was heard. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  signal(name: NodeJS.Signals): void;
}

/** Programs that start the engine so that it dies with us. */
export type ParentBinding = readonly string[];

const lineCharsMax = 4096;
/** A grandchild that left the group may hold our pipes open; its words are not waited for longer. */
const lastWordsMs = 500;

// Between the fork and the kernel's promise the parent may have died already; then the shell sees another
// parent and goes.
const onlyUnderOurParent = '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"';

/** How engines are bound to us here: setpriv of util-linux, asked once whether it can; busybox cannot. */
export async function findParentBinding(): Promise<ParentBinding | undefined> {
  const can = await new Promise<boolean>((resolve) => {
    execFile("setpriv", ["--pdeathsig", "KILL", "--", "true"], (error) => resolve(error === null));
  });
  if (!can) return undefined;
  const shell = ["sh", "-c", onlyUnderOurParent, "engine", String(process.pid)];
  return ["setpriv", "--pdeathsig", "KILL", "--", ...shell];
}

/** @throws Error when there can be no process at all */
export async function startChild(
  launch: EngineLaunch,
  { env, binding }: { readonly env: Environment; readonly binding: ParentBinding | undefined },
  onLine: (line: string) => void,
): Promise<EngineChild> {
  const [program = launch.command, ...args] = [...(binding ?? []), launch.command, ...launch.args];
  const pipes = ["pipe", "pipe", "pipe"] as const;
  const child = spawn(program, args, {
    detached: true,
    cwd: launch.cwd,
    env: { ...env, ...launch.env },
    stdio: launch.ipc ? [...pipes, "ipc"] : [...pipes],
  });
  const { pid } = child;
  // There is no process; the error that says why comes in the next turn.
  if (pid === undefined) throw await new Promise((resolve) => child.once("error", resolve));
  child.stdin?.on("error", () => {
    // Nothing is ever written; the other side may close it as it likes.
  });
  for (const stream of [child.stdout, child.stderr]) if (stream) eachLine(stream, onLine);
  return { pid, ...endOf(child, pid), signal: (name) => signalGroup(pid, name) };
}

function endOf(child: ChildProcess, pid: number): Pick<EngineChild, "gone" | "ended"> {
  const gone = new AbortController();
  const ended: EngineChild["ended"] = new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      gone.abort();
      // What the engine started itself goes with it.
      signalGroup(pid, "SIGKILL");
      const timer = setTimeout(heard, lastWordsMs);
      child.once("close", heard);
      function heard() {
        clearTimeout(timer);
        if (child.connected) child.disconnect();
        for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
        resolve({ code, signal });
      }
    });
  });
  return { gone: gone.signal, ended };
}

/** To the process and all it has started; that nobody is left to hear it is fine. */
export function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Whole lines, and pieces of those that are longer than anyone reads. */
function eachLine(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line.slice(0, lineCharsMax));
    while (rest.length > lineCharsMax) {
      onLine(rest.slice(0, lineCharsMax));
      rest = rest.slice(lineCharsMax);
    }
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}
