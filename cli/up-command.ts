// `llorch up`: reads its options, starts everything through one call, says where it is, and stops it politely
// on Ctrl-C, at once on the second. What is started stands in up.ts.

import { resolve } from "node:path";
import { type Context, print } from "./context.ts";
import type { Inspector } from "./doctor/inspector.ts";
import { holderText, portHolder } from "./doctor/port-holder.ts";
import { exitCodes, Interrupted, Refusal } from "./failure.ts";
import { safeText } from "./print/safe-text.ts";
import { StatusLine } from "./print/status-line.ts";
import { type Output, paint } from "./terminal.ts";

export interface UpOptions {
  readonly port?: number;
  readonly gatewayPort?: number;
  readonly gateway?: boolean;
  readonly dataDir?: string;
  readonly config?: string;
}

export interface UpWish {
  readonly port?: number;
  readonly dataDir?: string;
  readonly configFile?: string;
  /** How long streams may finish after Ctrl-C. */
  readonly shutdownMs: number;
  /** What a person may like to know while it starts. */
  readonly onProgress: (text: string) => void;
  /** What in the configuration is allowed and probably not meant. */
  readonly onWarning: (text: string) => void;
}

/** Everything that `up` has started; it serves from the moment it exists. */
export interface Installation {
  readonly urls: Readonly<Record<"orchestrator", string>>;
  /** By what they are: `llorch` itself and each engine process. */
  readonly pids: Readonly<Record<string, number>>;
  readonly pools: readonly StartedPool[];
  /** The header that a caller must send, with the name of a variable and never with the secret. */
  readonly credential?: string;
  /** The PEM file that a caller must trust. */
  readonly certificate?: string;
  /** Ends everything; `atOnce` takes the patience away. Resolves when no process is left. */
  stop(atOnce: AbortSignal): Promise<void>;
}

export interface StartedPool {
  readonly id: string;
  readonly model: string;
  readonly engine: string;
  /** `on the GPU`, or what it runs on instead and why. */
  readonly where: string;
  /** False while it waits for a reload, or for an engine that runs elsewhere. */
  readonly serves: boolean;
}

/** Another daemon has the data directory; who started knows no more than which port was to be had with it. */
export class TakenFolder extends Refusal {
  readonly path: string;
  /** A process id, or `unknown`. */
  readonly holder: string;
  readonly port: number;

  constructor({ message, path, holder }: Error & Pick<TakenFolder, "path" | "holder">, port: number) {
    super(message, exitCodes.usage);
    this.path = path;
    this.holder = holder;
    this.port = port;
  }
}

/** @throws Refusal with a sentence (of a taken folder a `TakenFolder`), or what Node says of a taken port */
export type StartInstallation = (wish: UpWish, signal: AbortSignal) => Promise<Installation>;

interface UpParts {
  readonly start: StartInstallation;
  readonly inspector: Inspector;
}

const shutdownMs = 2000;

export async function runUp(context: Context, options: UpOptions, parts: UpParts): Promise<void> {
  if (options.gatewayPort !== undefined) {
    throw new Refusal(
      "--gateway-port: this version has no gateway yet. Leave the option out.",
      exitCodes.usage,
    );
  }
  const { terminal, json } = context;
  const status = new StatusLine(terminal.err);
  const stopping = new AbortController();
  const atOnce = new AbortController();
  const asked = Promise.withResolvers<void>();
  const off = terminal.onInterrupt(() => {
    if (stopping.signal.aborted) atOnce.abort();
    stopping.abort(new Interrupted());
    asked.resolve();
  });
  try {
    const installation = await begin(context, options, parts, status, stopping.signal);
    status.clear();
    const { urls, pids } = installation;
    print(context, { urls, pids }, () => bannerText(installation, terminal.out));
    await asked.promise;
    if (!json) status.show("Stopping; running streams may finish. Ctrl-C again stops at once.");
    await installation.stop(atOnce.signal);
  } finally {
    status.clear();
    off();
  }
}

async function begin(
  { terminal: { err }, json }: Context,
  options: UpOptions,
  { start, inspector }: UpParts,
  status: StatusLine,
  signal: AbortSignal,
): Promise<Installation> {
  const { port, dataDir, config } = options;
  try {
    return await start(
      {
        shutdownMs,
        onProgress: (text) => (json ? undefined : status.show(text)),
        onWarning(text) {
          if (json) return void err.write(`${JSON.stringify({ warning: { message: text } })}\n`);
          status.clear();
          err.write(`${paint("yellow", `llorch: warning: ${safeText(text)}`, err)}\n`);
        },
        ...(port !== undefined && { port }),
        ...(dataDir !== undefined && { dataDir }),
        ...(config !== undefined && { configFile: config }),
      },
      signal,
    );
  } catch (error) {
    status.clear();
    throw takenPort(error, options, inspector) ?? error;
  }
}

/**
 * Node names the port; the kernel knows who has it. Where the folder is taken and the port is too, as beside
 * an `up` that runs, both are said at once, so that nobody is refused a second time.
 */
export function takenPort(error: unknown, options: UpOptions, inspector: Inspector): Refusal | undefined {
  const isFolder = error instanceof TakenFolder;
  if (!isFolder && !isTakenPort(error)) return undefined;
  const { port } = error;
  const holder = portHolder(inspector, port);
  if (isFolder && (port === 0 || holder === undefined)) return undefined;
  const other = freePort(inspector, port);
  const taken = `ort ${port} is taken by ${holderText(holder ?? {})}.`;
  if (!isFolder) {
    const says = `P${taken} Choose another with \`${upText(options, other)}\`, or stop that process.`;
    return new Refusal(says, exitCodes.usage);
  }
  const beside = upText({ ...options, dataDir: `${resolve(error.path)}-${other}` }, other);
  const says =
    `The data directory ${error.path} is in use by process ${error.holder}, and p${taken} ` +
    `Stop that first, or choose another port and directory with \`${beside}\`.`;
  return new Refusal(says, exitCodes.usage);
}

/** As far as we can see; 0 lets the kernel choose. */
function freePort(inspector: Inspector, taken: number): number {
  for (let port = taken + 10; port <= 65_535; port += 10) {
    if (portHolder(inspector, port) === undefined) return port;
  }
  return 0;
}

/** The same `up` on another port. */
function upText({ config, dataDir }: UpOptions, port: number): string {
  const more = { "--config": config, "--data-dir": dataDir };
  const words = Object.entries(more).flatMap(([name, value]) =>
    value === undefined ? [] : [` ${name} ${quoted(value)}`],
  );
  return `npm run up -- --port ${port}${words.join("")}`;
}

export function isTakenPort(error: unknown): error is Error & { readonly port: number } {
  const { code, port } = error as { code?: unknown; port?: unknown };
  return code === "EADDRINUSE" && typeof port === "number";
}

export function bannerText(installation: Installation, out: Output): string {
  const { urls, pools } = installation;
  const bold = (text: string) => paint("bold", text, out);
  const rows = [
    ["Orchestrator", urls.orchestrator],
    ...pools.map(({ id, model, where, serves }) => [
      `Pool ${id}`,
      `${model}, ${where}${serves ? "" : "; it does not serve yet"}`,
    ]),
    ...(pools.length === 0 ? [["Pools", "none; name them in a file, and pass it with --config"]] : []),
  ].map(([title = "", text = ""]) => [safeText(title), safeText(text)] as const);
  const width = Math.max(...rows.map(([title]) => title.length));
  const pool = pools.find(({ serves }) => serves);
  return [
    bold("llama-orch is up."),
    "",
    ...rows.map(([title, text]) => `  ${title.padEnd(width)}  ${text}`),
    "",
    ...(pool === undefined ? [] : [bold("Try it:"), "", ...trialLines(installation, pool), ""]),
    "Ctrl-C stops it.",
    "",
  ].join("\n");
}

function trialLines(installation: Installation, pool: StartedPool): string[] {
  const curl = curlLines(installation, pool).map((line) => `  ${line}`);
  const model = pool.model === "haiku" ? "" : ` --model ${quoted(pool.model)}`;
  const to = elsewhere(installation.urls.orchestrator);
  return [...curl, "", `or: npm run llorch -- run "Write a haiku about the moon."${model}${to}`];
}

/** As one word of a shell. */
function quoted(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

const usualUrl = "http://127.0.0.1:8080";

function elsewhere(url: string): string {
  return url === usualUrl ? "" : ` --url ${url}`;
}

/** Hands in a task and follows its stream; a new id each time, since an old one would give the old answer. */
export function curlLines(
  { urls, credential, certificate }: Installation,
  { model, engine }: StartedPool,
): string[] {
  const tasks = `${urls.orchestrator}/v1/tasks`;
  const auth = credential === undefined ? "" : ` -H "${credential}"`;
  const trust = certificate === undefined ? "" : ` --cacert ${quoted(certificate)}`;
  const task = {
    session_id: "try",
    workload: "completion",
    model_ref: model,
    engine,
    ctx: 0,
    priority: "interactive",
    max_tokens: 48,
    deadline_ms: 60_000,
    messages: [{ role: "user", content: "Write a haiku about the moon." }],
  };
  const rest = JSON.stringify(task).slice(1);
  return [
    "id=poem-$(date +%s)",
    `curl -sS${trust}${auth} -H 'Content-Type: application/json' ${tasks} \\`,
    `  -d '{"task_id":"'$id'",${rest.replaceAll("'", `'\\''`)}' &&`,
    `curl -sSN${trust}${auth} ${tasks}/$id/stream`,
  ];
}
