import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "./finding.ts";
import { checkGraphics, devicesOf, kernelDriver } from "./graphics.ts";
import type { Inspector } from "./inspector.ts";

/** A machine out of paths and the outputs of programs. */
function machine(files: Record<string, string>, programs: Record<string, string> = {}): Inspector {
  return {
    read: (path) => files[path],
    names: (folder) => [
      ...new Set(
        Object.keys(files)
          .filter((path) => path.startsWith(`${folder}/`))
          .map((path) => path.slice(folder.length + 1).split("/")[0] as string),
      ),
    ],
    target: () => undefined,
    freeBytes: () => undefined,
    run: async (program) => programs[program],
  };
}

const smi = (driver: string) => `0, NVIDIA GeForce RTX 3090, 24576, 23000, ${driver}, 8.6\n`;
const cache = (...names: readonly string[]) =>
  names.map((name) => `\t${name} (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/${name}\n`).join("");
const levels = (findings: readonly Finding[]) => findings.map(({ check, level }) => `${check} ${level}`);

test("a machine with everything is told its GPU, driver and CUDA generation", async () => {
  const libraries = cache("libcuda.so.1", "libcudart.so.13", "libcublas.so.13");
  const inspector = machine({}, { "nvidia-smi": smi("580.65.06"), ldconfig: libraries });
  assert.deepEqual(await checkGraphics(inspector, []), [
    {
      check: "gpu",
      level: "ok",
      says: "GPU 0: NVIDIA GeForce RTX 3090, 22.5 GiB free of 24.0 GiB, compute capability 8.6",
    },
    { check: "driver", level: "ok", says: "NVIDIA driver 580.65.06" },
    { check: "cuda", level: "ok", says: "CUDA 13: libcuda.so.1, libcudart.so.13, libcublas.so.13" },
  ]);
});

test("an older driver runs CUDA 12, whose libraries are then the ones that count", async () => {
  const twelve = ["libcuda.so.1", "libcudart.so.12", "libcublas.so.12"];
  const programs = { "nvidia-smi": smi("535.129.03"), "/sbin/ldconfig": cache(...twelve) };
  assert.deepEqual(levels(await checkGraphics(machine({}, programs), [])), [
    "gpu ok",
    "driver warn",
    "cuda ok",
  ]);
  const thirteen = cache("libcuda.so.1", "libcudart.so.13", "libcublas.so.13");
  const found = await checkGraphics(machine({}, { ...programs, "/sbin/ldconfig": thirteen }), []);
  assert.deepEqual(levels(found), ["gpu ok", "driver warn", "cuda bad"]);
  assert.match(found[2]?.says ?? "", /cannot load libcudart\.so\.12, libcublas\.so\.12/);
  assert.match(found[2]?.todo ?? "", /cuda-cudart-12-0/);
  assert.equal((await checkGraphics(machine({}, { "nvidia-smi": smi("470.1") }), []))[1]?.level, "bad");
});

test("libraries that lie where the loader does not look are named with the way to show them", async () => {
  const toolkit = "/usr/local/cuda/lib64";
  const files = {
    "/usr/lib64/libcuda.so.1": "",
    [`${toolkit}/libcudart.so.13`]: "",
    [`${toolkit}/libcublas.so.13`]: "",
  };
  const inspector = machine(files, { "nvidia-smi": smi("580.1") });
  const [, , cuda] = await checkGraphics(inspector, []);
  assert.equal(
    cuda?.todo,
    `They lie in ${toolkit}, where the loader does not look: set LD_LIBRARY_PATH=${toolkit}.`,
  );
  const [, , told] = await checkGraphics(inspector, [toolkit]);
  assert.equal(told?.level, "ok");
});

test("no GPU, a GPU without a driver, and a driver that does not answer are three things", async () => {
  const [none] = await checkGraphics(machine({}), []);
  assert.deepEqual([none?.level, none?.says], ["warn", "There is no NVIDIA GPU."]);
  const device = { "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n" };
  const card = { ...device, "/sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n" };
  const [undriven] = await checkGraphics(machine(card), []);
  assert.deepEqual(
    [undriven?.level, undriven?.says],
    ["bad", "There is an NVIDIA device, but no driver is loaded."],
  );
  const sound = { ...device, "/sys/bus/pci/devices/0000:01:00.0/class": "0x040300\n" };
  assert.equal((await checkGraphics(machine(sound), []))[0]?.level, "warn", "its sound chip is no GPU");
  const loaded = {
    "/proc/driver/nvidia/version":
      "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n",
  };
  assert.equal(kernelDriver(machine(loaded)), "580.95.05");
  const [silent] = await checkGraphics(machine(loaded), []);
  assert.match(silent?.says ?? "", /driver 580\.95\.05 is loaded, but nvidia-smi does not answer/);
});

test("a device that shares its memory with the processor has no size to show", () => {
  const [device] = devicesOf("0, NVIDIA GB10, [N/A], [N/A], 580.95.05, 12.1\n");
  assert.equal(device?.says, "GPU 0: NVIDIA GB10, ? free of ?, compute capability 12.1");
});
