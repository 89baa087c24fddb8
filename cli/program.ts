// The commands of `llorch` and their options. Whatever is typed wrong is refused here with exit code 2,
// before anything is done.

import { Priority, TaskState } from "@llama-orch/contract";
import { type Client, createClient, OrchError } from "@llama-orch/sdk";
import { Command, InvalidArgumentError, Option } from "commander";
import { listNodes } from "./commands/nodes.ts";
import { drainPool, listPools, reloadPool } from "./commands/pools.ts";
import { replayJournal } from "./commands/replay.ts";
import { type RunWish, runTask } from "./commands/run.ts";
import { cancelTask, listTasks } from "./commands/tasks.ts";
import { type Settings, urlDefault, variables } from "./config.ts";
import type { Context } from "./context.ts";
import { type DoctorWish, runDoctor } from "./doctor/doctor.ts";
import type { Inspector } from "./doctor/inspector.ts";
import { exitCodes, Refusal } from "./failure.ts";
import { parseDurationMs } from "./print/quantity.ts";
import type { Terminal } from "./terminal.ts";
import { runUp, type StartInstallation, type UpOptions } from "./up-command.ts";

export interface Surroundings {
  readonly terminal: Terminal;
  readonly settings: Settings;
  readonly inspector: Inspector;
  readonly nodeVersion: string;
  readonly start: StartInstallation;
}

interface GlobalOptions {
  readonly url?: string;
  readonly token?: string;
  readonly apiKey?: string;
  readonly json?: boolean;
}

const afterHelp = `
Exit codes: 0 done, 1 failed, 2 the call or the configuration is wrong, 130 interrupted, 141 the reader of the
output has gone.

Durations are written 500ms, 30s, 5m or 1h. With --json, results are JSON on stdout and failures JSON on stderr.`;

/** `json`: what is typed wrong is not said here but left to the caller. */
export function createProgram(surroundings: Surroundings, json: boolean): Command {
  const { terminal } = surroundings;
  const program = new Command("llorch")
    .description("Every GPU you own behind one honest queue.")
    .helpCommand(false)
    .option("--url <url>", `where orchestratord listens (${variables.url}; default ${urlDefault})`)
    .option("--token <token>", `the bearer token of the installation (${variables.token})`)
    .option("--api-key <key>", `your API key (${variables.apiKey})`)
    .option("--json", "print JSON instead of text")
    .addHelpText("after", afterHelp)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.out.write(text),
      writeErr: (text) => void (json || terminal.err.write(text)),
      outputError: (text, write) => write(`llorch: ${text.replace(/^error: /, "")}`),
    })
    .showHelpAfterError("Run llorch --help, or llorch <command> --help, for what there is.");
  const contextOf = () => contextFor(surroundings, program.opts<GlobalOptions>());
  addTaskCommands(program, contextOf);
  addPoolCommands(program, contextOf);
  addMachineCommands(program, contextOf, surroundings);
  return program;
}

type ContextOf = () => Context;

function addTaskCommands(program: Command, contextOf: ContextOf): void {
  program
    .command("run")
    .description("hand in one task and stream its text")
    .argument("<prompt>", "what to write; - reads it from stdin")
    .option("--model <ref>", "the model", "haiku")
    .option("--max-tokens <n>", "the most tokens to write", whole(1), 64)
    .option("--temperature <t>", "0 takes the likeliest token each time", number)
    .option("--seed <n>", "the same seed gives the same text on a strict pool", whole(0))
    .option("--session <id>", "the session this task belongs to")
    .option("--label <label>", "marks the task; a canary may ask for tasks with its label")
    .option("--system <text>", "a system message in front of the prompt")
    .addOption(new Option("--priority <class>", "the class").choices(Priority.enum).default("interactive"))
    .addOption(deadline("when it must be done").default(300_000, "5m"))
    .action((prompt: string, wish: RunWish) => runTask(contextOf(), prompt, wish));
  program
    .command("tasks")
    .description("list tasks, newest first")
    .addOption(new Option("--state <state>", "only these").choices(TaskState.enum))
    .option("--tenant <id>", "only those of a tenant")
    .option("--limit <n>", "how many on a page", whole(1))
    .option("--cursor <cursor>", "the page to show")
    .action((query) => listTasks(contextOf(), query));
  program
    .command("cancel")
    .description("end a task, waiting or running")
    .argument("<task>", "its id")
    .action((id: string) => cancelTask(contextOf(), id));
}

function addPoolCommands(program: Command, contextOf: ContextOf): void {
  program
    .command("pools")
    .description("list pools with their replicas")
    .action(() => listPools(contextOf()));
  program
    .command("drain")
    .description("stop giving work to a pool")
    .argument("<pool>", "its id")
    .addOption(deadline("what still runs then goes on elsewhere").default(30_000, "30s"))
    .action((id: string, { deadline }: { deadline: number }) => drainPool(contextOf(), id, deadline));
  program
    .command("reload")
    .description("serve another model from a pool, or bring it back")
    .argument("<pool>", "its id")
    .argument("<model>", "the model to serve")
    .option("--drain-deadline <duration>", "how long running tasks may take to finish", duration)
    .action((id: string, model: string, wish: { drainDeadline?: number }) =>
      reloadPool(contextOf(), id, model, wish.drainDeadline),
    );
  program
    .command("nodes")
    .description("list the machines of a cluster")
    .action(() => listNodes(contextOf()));
}

function addMachineCommands(program: Command, contextOf: ContextOf, surroundings: Surroundings): void {
  program
    .command("doctor")
    .description("check GPU, driver, libraries, memory, disk, data, ports and tools of this machine")
    .option("--data-dir <folder>", "where everything is kept (LLORCH_DATA_DIR)")
    .action((wish: DoctorWish) =>
      runDoctor(contextOf(), surroundings.inspector, surroundings.nodeVersion, wish),
    );
  program
    .command("replay")
    .description("make the decisions of a journal again, and show the first that differs")
    .argument("<journal>", "the folder journal of a data directory, or one file of it")
    .action((journal: string) => replayJournal(contextOf(), journal));
  program
    .command("up")
    .description("start everything on this machine: the demo, or what --config says")
    .option("--port <n>", "where the orchestrator listens", port)
    .option("--gateway-port <n>", "where the gateway listens", port)
    .option("--no-gateway", "start without the gateway")
    .option("--data-dir <folder>", "where everything is kept")
    .addOption(new Option("--config <file>", "the configuration, YAML or JSON"))
    .action((options: UpOptions) => runUp(contextOf(), options, surroundings));
}

function contextFor({ terminal, settings }: Surroundings, options: GlobalOptions): Context {
  let client: Client | undefined;
  return {
    terminal,
    settings,
    json: options.json ?? false,
    client: () => (client ??= connect(settings, options)),
  };
}

/** A person waits, so an address where nobody listens is said at once; a restart in between is waited for. */
function connect(settings: Settings, options: GlobalOptions): Client {
  const token = options.token ?? settings.token;
  const apiKey = options.apiKey ?? settings.apiKey;
  try {
    return createClient({
      baseUrl: options.url ?? settings.url ?? urlDefault,
      contactMs: 0,
      ...(token !== undefined && { token }),
      ...(apiKey !== undefined && { apiKey }),
    });
  } catch (error) {
    if (!(error instanceof OrchError)) throw error;
    const says = error.message.replace(/^\w+(?=:)/, (name) => optionNames[name] ?? name);
    throw new Refusal(says, exitCodes.usage);
  }
}

/** What an option of the client is called here. */
const optionNames: Readonly<Record<string, string>> = {
  baseUrl: "--url",
  token: "--token",
  apiKey: "--api-key",
};

function deadline(says: string): Option {
  return new Option("--deadline <duration>", says).argParser(duration);
}

function duration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError("Accepted: a duration such as 500ms, 30s, 5m or 1h.");
  return ms;
}

function whole(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`Accepted: a whole number from ${min} on.`);
  };
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("Accepted: a number from 0 on.");
}

function port(text: string): number {
  const value = whole(0)(text);
  if (value <= 65_535) return value;
  throw new InvalidArgumentError("Accepted: a port from 1 to 65535, or 0 for any free one.");
}
