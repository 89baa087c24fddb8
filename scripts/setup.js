// Makes `npm run anything` work on a fresh clone: installs the locked packages when they are missing or
// older than the lock file, and says what to do when no Node 24 can be had. Runs before every command, on
// Node 20 with nothing installed, so it is plain JavaScript, imports only Node's own modules and must return
// at once when all is well. Two commands may start together: the first installs while the second waits.
// Everything is said on stderr, since stdout belongs to the command.
import { spawn, spawnSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const NODE_MAJOR_MIN = 24;
const WAIT_MAX_MS = 15 * 60_000;
const POLL_MS = 100;

/** Installed apart: what only a machine with an NVIDIA GPU needs. */
const CUDA = join(ROOT, "engines", "llamacpp", "binaries");
/** There as soon as an NVIDIA driver is loaded. */
const NVIDIA_DRIVER = "/proc/driver/nvidia/version";

const bundledNode = join(ROOT, "node_modules", ".bin", "node");
const holderFile = join(ROOT, ".results", "installing");

process.exitCode = (await install()) || requireNode();

/** The exit code: 0 when the packages are there afterwards. */
async function install() {
  if (isInstalled(ROOT) && !needsCuda()) return 0;
  if (!(await becomeHolder())) return 1;
  try {
    if (!isInstalled(ROOT)) {
      say("Installing the packages named in package-lock.json (npm ci), about half a gigabyte on disk.");
      const code = await npmCi(ROOT);
      if (code !== 0) return code;
      hideBrokenNode();
    }
    if (needsCuda()) await installCuda();
    return 0;
  } finally {
    rmSync(holderFile, { force: true });
  }
}

/** A failure is told and no more: everything but a pool on the GPU works without them. */
async function installCuda() {
  say(
    "This machine has an NVIDIA GPU: adding the CUDA binaries of the embedded engine, about half a gigabyte.",
  );
  if ((await npmCi(CUDA)) !== 0)
    say("Pools on the GPU cannot start until this install succeeds; going on without it.");
}

function needsCuda() {
  if (process.platform !== "linux" || process.arch !== "x64") return false;
  return modifiedAt(NVIDIA_DRIVER) !== undefined && !isInstalled(CUDA);
}

/** @param {string} folder */
function isInstalled(folder) {
  const lockFile = join(folder, "package-lock.json");
  const lockedAt = modifiedAt(lockFile);
  if (lockedAt === undefined)
    throw new Error(`${lockFile} is missing; restore it with git and run the command again.`);
  const installedAt = modifiedAt(installedFile(folder));
  return installedAt !== undefined && installedAt >= lockedAt;
}

/** npm writes this file last, so after an interrupted install it is absent or old. @param {string} folder */
function installedFile(folder) {
  return join(folder, "node_modules", ".package-lock.json");
}

/** @param {string} path */
function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/** @param {string} folder */
async function npmCi(folder) {
  // Development and optional packages always: they hold the compiler and Node 24, whatever NODE_ENV says.
  // No scripts: none of ours needs one, and node-llama-cpp's would try to download or compile.
  // What a package wishes of the Node that installs says nothing about the Node it will run on.
  const args = ["ci", "--include=dev", "--include=optional", "--ignore-scripts", "--loglevel=error"];
  const npm = process.env.npm_execpath;
  const [program, ...first] = npm ? [process.env.npm_node_execpath ?? process.execPath, npm] : ["npm"];
  const child = spawn(program, [...first, ...args], {
    cwd: folder,
    stdio: ["ignore", 2, 2],
    shell: !npm && process.platform === "win32",
  });
  // npm outlives this process when only this one is killed, so it holds the lock as well.
  if (child.pid) holdWith(child.pid);
  const code = await new Promise((resolve) => {
    child.once("error", (error) => {
      say(`npm could not be started: ${error.message}.`);
      resolve(1);
    });
    child.once("exit", (exitCode) => resolve(exitCode ?? 1));
  });
  if (code !== 0) {
    say(
      `The install failed with exit code ${code}; npm's reason stands above. If a package.json was changed without ` +
        "package-lock.json, run `npm install`; otherwise check the network, and run the command again.",
    );
    return code;
  }
  settle(folder);
  return 0;
}

/** In one step, so that a kill in between leaves a lock that names its holder. @param {number} pid */
function holdWith(pid) {
  const next = `${holderFile}.${process.pid}`;
  writeFileSync(next, `${process.pid} ${pid}`);
  renameSync(next, holderFile);
}

/** No second install for a lock file dated in the future. @param {string} folder */
function settle(folder) {
  if (isInstalled(folder)) return;
  const at = new Date(Math.max(Date.now(), modifiedAt(join(folder, "package-lock.json")) ?? 0) + 1);
  utimesSync(installedFile(folder), at, at);
}

/** The packaged Node needs glibc. Where it cannot run, it must not hide the system's Node on the PATH. */
function hideBrokenNode() {
  if (modifiedAt(bundledNode) !== undefined && majorOf(bundledNode) === 0) rmSync(bundledNode);
}

function requireNode() {
  if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN || majorOf(bundledNode) >= NODE_MAJOR_MIN)
    return 0;
  say(
    `llama-orch needs Node ${NODE_MAJOR_MIN}, and this is Node ${process.versions.node}. It brings its own only for ` +
      `Linux with glibc on x64 and arm64 (this is ${process.platform} ${process.arch}): install Node ` +
      `${NODE_MAJOR_MIN} from https://nodejs.org/en/download and run the command again.`,
  );
  return 1;
}

/** 0 when the program does not run. @param {string} program */
function majorOf(program) {
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return Number.parseInt(stdout?.replace("v", "") ?? "", 10) || 0;
}

/** Waits until this process alone may install. */
async function becomeHolder() {
  mkdirSync(join(ROOT, ".results"), { recursive: true });
  const mine = `${holderFile}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    const giveUpAt = Date.now() + WAIT_MAX_MS;
    for (let told = false; !tryLink(mine); await new Promise((resolve) => setTimeout(resolve, POLL_MS))) {
      const holder = readHolder(holderFile);
      if (holder === undefined) continue;
      const [pid] = holder.split(" ");
      if (!isAlive(holder)) {
        removeStale(holder);
      } else if (!told) {
        told = true;
        say(`Another command (process ${pid}) is installing; waiting for it.`);
      } else if (Date.now() > giveUpAt) {
        say(`Process ${pid} has not finished its install. If it is something else, delete ${holderFile}.`);
        return false;
      }
    }
    return true;
  } finally {
    rmSync(mine, { force: true });
  }
}

/** A link appears with its content, so no one ever reads a half-written lock. @param {string} mine */
function tryLink(mine) {
  try {
    linkSync(mine, holderFile);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** Between the look and the removal another waiter may have taken over: then its lock is put back. */
function removeStale(/** @type {string} */ holder) {
  const aside = `${holderFile}.stale.${process.pid}`;
  try {
    renameSync(holderFile, aside);
    if (readHolder(aside) !== holder) linkSync(aside, holderFile);
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "EEXIST") throw error;
  }
  rmSync(aside, { force: true });
}

/** @param {string} path */
function readHolder(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** One process id, or two once npm runs; any other text names nobody. @param {string} holder */
function isAlive(holder) {
  return holder.split(" ").some((pid) => {
    // 0 and negative numbers are groups of processes, ours among them.
    if (!/^[1-9]\d*$/.test(pid)) return false;
    try {
      process.kill(Number(pid), 0);
      return true;
    } catch (error) {
      return error.code === "EPERM";
    }
  });
}

/** @param {string} sentence */
function say(sentence) {
  console.error(sentence);
}
