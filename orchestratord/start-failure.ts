// What an operator is told when the daemon does not start. Whoever starts it, as a program of its own or
// inside another one, tells it in these words; it writes nothing and ends nothing.

import { OrchError } from "@llama-orch/contract";
import { DirectoryTaken } from "./data-directory.ts";

/** The exit code for what an operator has to change. */
export const usageExitCode = 2;

/** One sentence that says what to change; undefined for a bug, which nobody but us can do anything about. */
export function startFailure(error: unknown): string | undefined {
  if (error instanceof DirectoryTaken) return error.message;
  if (error instanceof OrchError) return error.code === "INTERNAL" ? undefined : error.message;
  if (!(error instanceof Error)) return undefined;
  const { syscall, code, address, port, path = "", message } = error as SystemError;
  const name = address?.includes(":") === true ? `[${address}]` : address;
  if (syscall === "listen") return listenFailure(code, `${name}:${port}`, port);
  if (syscall === "getaddrinfo") {
    return "auth.bind_addr (--addr) names no address of this machine; set one of its own, or 127.0.0.1:PORT.";
  }
  const folder = "set data_dir (--data-dir) or artifacts.root to a folder this user may write to";
  if (syscall !== undefined && path !== "") return `${path} cannot be used (${code}); ${folder}.`;
  // SQLite says neither which file it was nor has it a code of the system; the lock is the only one here.
  if (code === "ERR_SQLITE_ERROR") return `daemon.lock cannot be used: ${message}. Remove it, or ${folder}.`;
  return undefined;
}

type SystemError = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number };

function listenFailure(code: string | undefined, where: string, port: number | undefined): string {
  const another = "set auth.bind_addr (--addr) to another one";
  switch (code) {
    case "EADDRINUSE":
      return `Port ${port} is taken by another process. Stop it, or ${another}.`;
    case "EADDRNOTAVAIL":
      return `${where} is no address of this machine; ${another}.`;
    case "EACCES":
      return `${where} may not be listened on by this user; ${another}, such as a port above 1023.`;
    default:
      return `${where} cannot be listened on (${code}); ${another}.`;
  }
}
