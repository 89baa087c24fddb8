// Whether an NVIDIA GPU can be used: the device, its driver, and the libraries that the CUDA build of
// node-llama-cpp opens. Without a GPU that is one warning, since everything else then does not matter.

import { bytesText } from "../print/quantity.ts";
import type { Finding } from "./finding.ts";
import type { Inspector } from "./inspector.ts";

/** Each CUDA generation that a build exists for, with the oldest driver it runs on; best first. */
const generations = [
  { major: 13, driverMin: 580 },
  { major: 12, driverMin: 525 },
] as const;

export async function checkGraphics(
  inspector: Inspector,
  libraryFolders: readonly string[],
): Promise<Finding[]> {
  const devices = devicesOf((await inspector.run("nvidia-smi", query)) ?? "");
  const driver = devices[0]?.driver ?? kernelDriver(inspector);
  if (devices.length === 0) return [absence(inspector, driver)];
  return [
    ...devices.map(({ says }): Finding => ({ check: "gpu", level: "ok", says })),
    checkDriver(driver),
    ...(await checkLibraries(inspector, libraryFolders, driver)),
  ];
}

const query = [
  "--query-gpu=index,name,memory.total,memory.free,driver_version,compute_cap",
  "--format=csv,noheader,nounits",
] as const;

export function devicesOf(table: string): { readonly says: string; readonly driver: string }[] {
  return table.split("\n").flatMap((line) => {
    const [index, name, total, free, driver, capability] = line.split(",").map((word) => word.trim());
    if (driver === undefined || name === undefined) return [];
    const memory = `${mebibytes(free)} free of ${mebibytes(total)}`;
    return [{ says: `GPU ${index}: ${name}, ${memory}, compute capability ${capability ?? "?"}`, driver }];
  });
}

/** Where memory is shared with the processor the tool says [N/A]. */
function mebibytes(text: string | undefined): string {
  const value = Number(text);
  return Number.isFinite(value) ? bytesText(value * 1024 ** 2) : "?";
}

export function kernelDriver(inspector: Inspector): string | undefined {
  const text = inspector.read("/proc/driver/nvidia/version") ?? "";
  return /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(text)?.[1];
}

function absence(inspector: Inspector, driver: string | undefined): Finding {
  if (driver !== undefined) {
    return {
      check: "gpu",
      level: "bad",
      says: `The NVIDIA driver ${driver} is loaded, but nvidia-smi does not answer.`,
      todo: "Run nvidia-smi and follow what it says. In a container, pass the GPU in: docker run --gpus all.",
    };
  }
  if (hasDevice(inspector)) {
    return {
      check: "gpu",
      level: "bad",
      says: "There is an NVIDIA device, but no driver is loaded.",
      todo: `Install NVIDIA's driver ${generations[0].driverMin} or newer and restart the machine.`,
    };
  }
  return {
    check: "gpu",
    level: "warn",
    says: "There is no NVIDIA GPU.",
    todo: "The demo runs on the CPU and says so. Other pools without a GPU need allow_cpu: true.",
  };
}

function hasDevice(inspector: Inspector): boolean {
  const folder = "/sys/bus/pci/devices";
  return inspector.names(folder).some((name) => {
    const vendor = inspector.read(`${folder}/${name}/vendor`)?.trim();
    return vendor === "0x10de" && /^0x03/.test(inspector.read(`${folder}/${name}/class`) ?? "");
  });
}

function majorOf(driver: string | undefined): number {
  return Number.parseInt(driver ?? "0", 10);
}

function checkDriver(driver: string | undefined): Finding {
  const [best, oldest] = generations;
  const says = `NVIDIA driver ${driver ?? "of unknown version"}`;
  if (majorOf(driver) >= best.driverMin) return { check: "driver", level: "ok", says };
  const enough = majorOf(driver) >= oldest.driverMin;
  return {
    check: "driver",
    level: enough ? "warn" : "bad",
    says: enough
      ? `${says}: runs CUDA ${oldest.major}, not ${best.major}`
      : `${says}: too old for CUDA ${oldest.major}`,
    todo: `Install NVIDIA's driver ${best.driverMin} or newer.`,
  };
}

/** Where CUDA is often installed without the loader being told. */
const untold = ["/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib", "/opt/cuda/lib64"];

async function checkLibraries(
  inspector: Inspector,
  libraryFolders: readonly string[],
  driver: string | undefined,
): Promise<Finding[]> {
  const cache =
    (await inspector.run("ldconfig", ["-p"])) ?? (await inspector.run("/sbin/ldconfig", ["-p"])) ?? "";
  const inFolder = (folders: readonly string[], name: string) =>
    folders.find((folder) => inspector.names(folder).includes(name));
  const usual = [
    ...libraryFolders,
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
  ];
  const loads = (name: string) => cache.includes(`\t${name} `) || inFolder(usual, name) !== undefined;
  const fits = generations.filter(({ driverMin }) => majorOf(driver) >= driverMin);
  const whole = fits.find(({ major }) => librariesOf(major).every(loads));
  if (whole !== undefined) {
    return [
      { check: "cuda", level: "ok", says: `CUDA ${whole.major}: ${librariesOf(whole.major).join(", ")}` },
    ];
  }
  const [{ major }] = fits.length > 0 ? fits : generations;
  const missing = librariesOf(major).filter((name) => !loads(name));
  const says = `The CUDA build cannot load ${missing.join(", ")}.`;
  const folder = missing.map((name) => inFolder(untold, name)).find((found) => found !== undefined);
  const todo =
    folder === undefined
      ? `Install the CUDA ${major} runtime and cuBLAS (cuda-cudart-${major}-0 and libcublas-${major}-0 in ` +
        "NVIDIA's repository), or put their folder into LD_LIBRARY_PATH."
      : `They lie in ${folder}, where the loader does not look: set LD_LIBRARY_PATH=${folder}.`;
  return [{ check: "cuda", level: "bad", says, todo }];
}

function librariesOf(major: number): string[] {
  return ["libcuda.so.1", `libcudart.so.${major}`, `libcublas.so.${major}`];
}
