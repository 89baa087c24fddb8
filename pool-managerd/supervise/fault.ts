// Why an engine process is gone, as a word for decisions and as a sentence for people. What the engine
// wrote last is quoted, bounded and without secrets.

import { OrchError, type ReplicaFault, redacted } from "@llama-orch/contract";

export type Ending =
  | { readonly kind: "exited"; readonly code: number | null; readonly signal: NodeJS.Signals | null }
  /** It never came to be: no model, no program, no memory for a process. */
  | { readonly kind: "not_started"; readonly error: unknown }
  | { readonly kind: "not_ready"; readonly withinMs: number }
  | { readonly kind: "hung"; readonly polls: number }
  /** It answers no more because it is on its way out; how it ends is not known yet. */
  | { readonly kind: "leaving" };

export interface Explained {
  readonly lastError: string;
  readonly fault: ReplicaFault;
  /** It left by itself and as one should; it is not started again. */
  readonly clean: boolean;
  /** A person has to do something first; no wait changes that. */
  readonly refused: boolean;
}

/** What is known besides the end itself. */
interface Heard {
  /** What the engine wrote last. */
  readonly lines: readonly string[];
  /** The kernel killed a process for want of memory while it ran. */
  readonly killedForMemory: boolean;
}

/** First match wins. The phrases are those of the CUDA driver, ggml, PyTorch, glibc and V8. */
const phrases: readonly { readonly pattern: RegExp; readonly fault: ReplicaFault }[] = [
  {
    pattern:
      /CUDA error: out of memory|cudaMalloc failed: out of memory|CUDA out of memory|ErrorOutOfDeviceMemory/i,
    fault: "vram_oom",
  },
  {
    pattern: /fallen off the bus|GPU is lost|driver shutting down|device reset|NVRM: Xid|uncorrectable ECC/i,
    fault: "driver_reset",
  },
  {
    pattern: /std::bad_alloc|cannot allocate memory|heap out of memory/i,
    fault: "host_oom",
  },
];

const lastErrorChars = 512;
const quotedLines = 3;

export function explain(ending: Ending, heard: Heard, secrets: readonly string[]): Explained {
  const quoted = heard.lines.filter((line) => line.trim() !== "").slice(-quotedLines);
  const words = quoted.length > 0 ? ` It wrote last: ${quoted.join(" | ")}` : "";
  const text = cleaned(`${sentence(ending, heard)}${words}`, secrets);
  return {
    lastError: text.length > lastErrorChars ? `${text.slice(0, lastErrorChars - 1)}…` : text,
    fault: faultOf(ending, heard),
    clean: ending.kind === "exited" && ending.code === 0,
    refused: ending.kind === "not_started" && ending.error instanceof OrchError,
  };
}

function faultOf(ending: Ending, { lines, killedForMemory }: Heard): ReplicaFault {
  if (ending.kind === "hung") return "hung";
  const bySignal = ending.kind === "exited" && ending.signal === "SIGKILL" && killedForMemory;
  if (bySignal) return "host_oom";
  const text = lines.join("\n");
  return phrases.find(({ pattern }) => pattern.test(text))?.fault ?? "crash";
}

function sentence(ending: Ending, { lines, killedForMemory }: Heard): string {
  switch (ending.kind) {
    case "exited":
      if (lines.some((line) => /CUDA error/i.test(line))) {
        return `The engine ended with ${ending.signal ?? `exit code ${ending.code}`} after a CUDA error.`;
      }
      if (ending.signal === null) return `The engine ended with exit code ${ending.code}.`;
      return ending.signal === "SIGKILL" && killedForMemory
        ? "The kernel killed the engine because the machine ran out of memory (SIGKILL)."
        : `The engine was ended by ${ending.signal}.`;
    case "not_started":
      return `The engine could not be started: ${messageOf(ending.error)}`;
    case "not_ready":
      return `health check failed: the engine was not ready within ${ending.withinMs / 1000} s and was ended.`;
    case "hung":
      return `health check failed: the engine did not answer ${ending.polls} polls in a row and was ended.`;
    case "leaving":
      return "The engine answers no more and is ending.";
    default:
      return ending satisfies never;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Without secrets and control characters. */
export function cleaned(text: string, secrets: readonly string[]): string {
  let clean = text.replaceAll(/(bearer\s+)[^\s"']+/gi, `$1${redacted}`);
  for (const secret of secrets) if (secret.length >= 4) clean = clean.replaceAll(secret, redacted);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return clean.replaceAll(/\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g, "");
}
