// What engines inherit from whoever typed `up`: where programs and libraries lie, the language, and what the
// drivers read. Everything else stays here, since an environment is where people keep their secrets; what an
// engine needs besides stands in `provisioning.env` of its pool.

type Variables = Readonly<Record<string, string | undefined>>;

const inherited = new Set([
  ...["PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP"],
  ...["LD_LIBRARY_PATH", "LD_PRELOAD"],
]);
const families = ["LC_", "CUDA_", "NVIDIA_", "NCCL_", "OMP_"];

export function engineEnvironment(variables: Variables): Variables {
  return Object.fromEntries(
    Object.entries(variables).filter(
      ([name]) => inherited.has(name) || families.some((start) => name.startsWith(start)),
    ),
  );
}
