import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveConfig } from "./resolve.ts";

const pool = { id: "chat", engine: "llamacpp", model: "file:m.gguf", devices: [0] };
const onePool = (settings: object) => ({ pools: [{ ...pool, ...settings }] });
const twoPools = (settings: object) => ({ pools: [pool, { ...pool, id: "two", ...settings }] });
const checksum = `sha256:${"a".repeat(64)}`;
const token = "0123456789abcdef";

interface Case {
  readonly title: string;
  readonly file?: object;
  readonly environment?: Record<string, string>;
  /** The path of the one problem, and a part of what it says is accepted; absent when all is well. */
  readonly refuses?: readonly [path: string, accepted: RegExp];
}

const cases: readonly Case[] = [
  {
    title: "two pools with one id are refused [OC-CONFIG-6003]",
    file: { pools: [pool, { ...pool, devices: [1] }] },
    refuses: ["pools[1].id", /its own id/],
  },
  ...["http://proxy", "https://me:p%40ss@proxy.example.org:3128/", "http://[2001:db8::1]:3128"].map(
    (proxy_url): Case => ({ title: `a proxy may be at ${proxy_url}`, file: { network: { proxy_url } } }),
  ),
  ...["http://proxy:3128/v1", "http://proxy?a=b", "socks5://proxy", "proxy:3128", "http://proxy:99999"].map(
    (proxy_url): Case => ({
      title: `${proxy_url} is no proxy`,
      file: { network: { proxy_url } },
      refuses: ["network.proxy_url", /a proxy without a path, such as/],
    }),
  ),
  ...(
    [
      ["llamacpp.url", (url) => ({ llamacpp: { url } })],
      ["network.proxy_url", (proxy_url) => ({ network: { proxy_url } })],
      ["network.cors_origins[1]", (origin) => ({ network: { cors_origins: ["http://a", origin] } })],
      ["node.address", (address) => ({ node: { address } })],
      ["nodes.pool_managers[0]", (url) => ({ nodes: { pool_managers: [url] } })],
      ["pools[0].provisioning.base_url", (base_url) => onePool({ provisioning: { base_url } })],
      ["telemetry.otlp_endpoint", (otlp_endpoint) => ({ telemetry: { otlp_endpoint } })],
    ] as [string, (url: string) => object][]
  ).map(
    ([path, fileWith]): Case => ({
      title: `an address that is none is refused at the start, as ${path} is`,
      file: fileWith("http://1.2.3.999"),
      refuses: [path, /a URL with a valid host and port/],
    }),
  ),
  ...(
    [
      ["llamacpp.url", (url) => ({ llamacpp: { url } })],
      ["pools[0].provisioning.base_url", (base_url) => onePool({ provisioning: { base_url } })],
    ] as [string, (url: string) => object][]
  ).flatMap(([path, fileWith]): Case[] => [
    {
      title: `port 0, on which nobody listens, is refused as ${path}`,
      file: fileWith("http://127.0.0.1:0"),
      refuses: [path, /a URL with a valid host and port/],
    },
    ...["http://me:pass@e:1", "http://me@e:1/v1", "http://e:1/?a=b", "http://e:1?a", "http://e:1/v1#f"].map(
      (url): Case => ({
        title: `what would have no effect is refused in ${path}, as in ${url}`,
        file: fileWith(url),
        refuses: [path, /without a user, a query and a fragment/],
      }),
    ),
    { title: `${path} may have a path, with an @ in it`, file: fileWith("https://e:1/relay/@r0/") },
  ]),
  {
    title: "port 0 of a collector of traces is refused as well",
    file: { telemetry: { otlp_endpoint: "http://127.0.0.1:0" } },
    refuses: ["telemetry.otlp_endpoint", /valid host and port/],
  },
  {
    title: "what is no URL at all is one problem, not two",
    file: { llamacpp: { url: "ftp://1.2.3.999" } },
    refuses: ["llamacpp.url", /begins with http/],
  },
  {
    title: "an address from a variable is looked at as well",
    environment: { ORCHD_LLAMACPP_URL: "http://127.0.0.1:99999" },
    refuses: ["llamacpp.url", /valid host and port/],
  },
  {
    title: "a pool without devices needs allow_cpu [OC-CONFIG-6003]",
    file: onePool({ devices: [] }),
    refuses: ["pools[0].devices", /allow_cpu: true/],
  },
  {
    title: "a pool with devices may not have allow_cpu [OC-CONFIG-6003]",
    file: onePool({ allow_cpu: true }),
    refuses: ["pools[0].allow_cpu", /empty list/],
  },
  {
    title: "a pool on the CPU has no devices and allow_cpu [OC-CONFIG-6003]",
    file: onePool({ devices: [], allow_cpu: true }),
  },

  {
    title: "a split on a single device is refused [OC-CONFIG-6007]",
    file: onePool({ tensor_split: [1] }),
    refuses: ["pools[0].tensor_split", /two devices/],
  },
  {
    title: "a split needs one ratio per device [OC-CONFIG-6007]",
    file: onePool({ devices: [0, 1, 2], tensor_split: [0.5, 0.5] }),
    refuses: ["pools[0].tensor_split", /3 ratios/],
  },
  {
    title: "ratios that add up to 0.98 are refused [OC-CONFIG-6007]",
    file: onePool({ devices: [0, 1], tensor_split: [0.5, 0.48] }),
    refuses: ["pools[0].tensor_split", /sum 1\.0/],
  },
  {
    title: "ratios that add up to 1.02 are refused [OC-CONFIG-6007]",
    file: onePool({ devices: [0, 1], tensor_split: [0.52, 0.5] }),
    refuses: ["pools[0].tensor_split", /sum 1\.0/],
  },
  {
    title: "ratios that add up to 0.99 pass [OC-CONFIG-6007]",
    file: onePool({ devices: [0, 1], tensor_split: [0.5, 0.49] }),
  },
  {
    title: "ratios that add up to 1.01 pass [OC-CONFIG-6007]",
    file: onePool({ devices: [0, 1], tensor_split: [0.51, 0.5] }),
  },
  {
    title: "a ratio of 0 is refused [OC-CONFIG-6007]",
    file: onePool({ devices: [0, 1], tensor_split: [1, 0] }),
    refuses: ["pools[0].tensor_split[1]", /above 0/],
  },

  {
    title: "idle_ms above wall_ms is refused [OC-CONFIG-6008]",
    file: onePool({ timeouts: { wall_ms: 4999 } }),
    refuses: ["pools[0].timeouts.idle_ms", /4999/],
  },
  {
    title: "idle_ms equal to wall_ms passes [OC-CONFIG-6008]",
    file: onePool({ timeouts: { wall_ms: 5000 } }),
  },
  {
    title: "timeouts of 0 are refused [OC-CONFIG-6008]",
    file: onePool({ timeouts: { wall_ms: 0 } }),
    refuses: ["pools[0].timeouts.wall_ms", /1\.\./],
  },

  {
    title: "strict with batched slots is refused, naming both ways out",
    file: onePool({ engine: "vllm", slots: 2, determinism: "strict" }),
    refuses: ["pools[0].determinism", /slots: 1.*embedded.*best_effort/],
  },
  {
    title: "strict passes where the embedded engine keeps slots apart",
    file: onePool({ slots: 2, determinism: "strict" }),
  },
  { title: "strict passes with one slot", file: onePool({ engine: "vllm", determinism: "strict" }) },
  {
    title: "the embedded engine is llamacpp and nothing else",
    file: onePool({ engine: "tgi", provisioning: { mode: "embedded" } }),
    refuses: ["pools[0].provisioning.mode", /llamacpp/],
  },

  {
    title: "external mode needs base_url",
    file: onePool({ provisioning: { mode: "external" } }),
    refuses: ["pools[0].provisioning.base_url", /URL/],
  },
  {
    title: "source mode needs source [OC-CONFIG-6022]",
    file: onePool({ provisioning: { mode: "source" } }),
    refuses: ["pools[0].provisioning.source", /repo and ref/],
  },
  {
    title: "source needs ref [OC-CONFIG-6022]",
    file: onePool({ provisioning: { mode: "source", source: { repo: "r" } } }),
    refuses: ["pools[0].provisioning.source.ref", /string/],
  },
  {
    title: "source takes repo, ref, submodules and the build's settings [OC-CONFIG-6022]",
    file: onePool({
      provisioning: {
        mode: "source",
        source: {
          repo: "r",
          ref: "b1",
          submodules: true,
          build: { cmake_flags: ["-DGGML_CUDA=ON"], generator: "Ninja", cache_dir: "/c" },
        },
      },
    }),
  },
  {
    title: "container mode needs container [OC-CONFIG-6023]",
    file: onePool({ provisioning: { mode: "container" } }),
    refuses: ["pools[0].provisioning.container", /image and tag/],
  },
  {
    title: "container needs tag [OC-CONFIG-6023]",
    file: onePool({ provisioning: { mode: "container", container: { image: "i" } } }),
    refuses: ["pools[0].provisioning.container.tag", /string/],
  },
  {
    title: "package mode needs package",
    file: onePool({ provisioning: { mode: "package" } }),
    refuses: ["pools[0].provisioning.package", /name/],
  },
  {
    title: "a package takes version and repo",
    file: onePool({ provisioning: { mode: "package", package: { name: "p", version: "1", repo: "aur" } } }),
  },
  {
    title: "binary mode needs binary",
    file: onePool({ provisioning: { mode: "binary" } }),
    refuses: ["pools[0].provisioning.binary", /checksum/],
  },
  {
    title: "a binary needs a whole checksum",
    file: onePool({
      provisioning: { mode: "binary", binary: { url: "https://x/y", checksum: "sha256:abc" } },
    }),
    refuses: ["pools[0].provisioning.binary.checksum", /64 lower-case hex/],
  },
  {
    title: "a binary takes url, checksum and install_dir",
    file: onePool({
      provisioning: { mode: "binary", binary: { url: "https://x/y", checksum, install_dir: "/opt" } },
    }),
  },

  {
    title: "a canary splits by percent, by label or by both",
    file: onePool({ canary: { model: "file:new.gguf" } }),
    refuses: ["pools[0].canary", /percent, label/],
  },
  {
    title: "a canary is another model",
    file: onePool({ canary: { model: pool.model, percent: 5 } }),
    refuses: ["pools[0].canary.model", /another model/],
  },
  {
    title: "a class is listed once [OC-CONFIG-6005]",
    file: onePool({ admission: { priorities: [{ name: "batch" }, { name: "batch" }] } }),
    refuses: ["pools[0].admission.priorities[1].name", /its own/],
  },
  {
    title: "a tenant is listed once [OC-CONFIG-6006]",
    file: onePool({ admission: { fairness: { tenants: [{ id: "a" }, { id: "a" }] } } }),
    refuses: ["pools[0].admission.fairness.tenants[1].id", /its own/],
  },
  {
    title: "a tenant has one budget",
    file: {
      tenants: [
        { id: "a", budgets: {} },
        { id: "a", budgets: {} },
      ],
    },
    refuses: ["tenants[1].id", /its own/],
  },
  {
    title: "pools that share a queue agree on its order",
    file: twoPools({ scheduling: { policy: "strict" } }),
    refuses: ["pools[1].scheduling", /pool chat/],
  },
  {
    title: "pools that share a queue agree on weights",
    file: twoPools({ admission: { priorities: [{ name: "batch", weight: 2 }] } }),
    refuses: ["pools[1].scheduling", /pool chat/],
  },
  {
    title: "pools of different models order their queues as they like",
    file: twoPools({ model: "file:n.gguf", scheduling: { edf: true } }),
  },
  {
    title: "one running engine serves one model",
    file: {
      pools: ["a", "b"].map((id) => ({
        ...pool,
        id,
        model: `file:${id}`,
        provisioning: { mode: "external", base_url: "http://e:1" },
      })),
    },
    refuses: ["pools[1].model", /same base_url/],
  },

  {
    title: "an open address without a token or key is refused [OC-CONFIG-6032]",
    environment: { ORCHD_ADDR: "0.0.0.0:8080" },
    refuses: ["auth.bind_addr", /NON_LOOPBACK_WITHOUT_TOKEN/],
  },
  {
    title: "an address of the LAN without a token is refused [OC-CONFIG-6032]",
    file: { auth: { bind_addr: "192.168.1.5:80" } },
    refuses: ["auth.bind_addr", /LLORCH_API_TOKEN or ORCHD_API_KEYS/],
  },
  {
    title: "an open IPv6 address without a token is refused [OC-CONFIG-6032]",
    file: { auth: { bind_addr: "[::]:80" } },
    refuses: ["auth.bind_addr", /loopback/],
  },
  {
    title: "a host name that begins like loopback is not loopback [OC-CONFIG-6032]",
    file: { auth: { bind_addr: "127.0.0.1.example.org:80" } },
    refuses: ["auth.bind_addr", /loopback/],
  },
  {
    title: "an open address with a key passes",
    environment: { ORCHD_ADDR: "0.0.0.0:8080", ORCHD_API_KEYS: "valid" },
  },
  {
    title: "an open address with a token passes [OC-CONFIG-6032]",
    environment: { ORCHD_ADDR: "0.0.0.0:8080", LLORCH_API_TOKEN: token },
  },
  { title: "all of 127.0.0.0/8 is loopback", file: { auth: { bind_addr: "127.8.0.1:80" } } },
  { title: "[::1] is loopback", file: { auth: { bind_addr: "[::1]:80" } } },
  {
    title: "an open gateway without a token is refused",
    file: { gateway: { addr: "0.0.0.0:8081" } },
    refuses: ["gateway.addr", /NON_LOOPBACK_WITHOUT_TOKEN/],
  },
  {
    title: "an open pool manager needs the token, since keys are not for nodes",
    environment: { POOL_MANAGERD_ADDR: "0.0.0.0:9200", ORCHD_API_KEYS: "valid" },
    refuses: ["node.addr", /LLORCH_API_TOKEN/],
  },
  {
    title: "a token of 15 characters is refused",
    environment: { LLORCH_API_TOKEN: token.slice(1) },
    refuses: ["LLORCH_API_TOKEN", /16 to/],
  },
  {
    title: "the cloud profile needs a token",
    environment: { ORCHESTRATORD_CLOUD_PROFILE: "true", ORCHD_API_KEYS: "valid" },
    refuses: ["auth.token", /cloud profile/],
  },
  {
    title: "a cloud node needs the orchestrator's URL",
    environment: {
      POOL_MANAGERD_CLOUD_PROFILE: "1",
      LLORCH_API_TOKEN: token,
      POOL_MANAGERD_ADDRESS: "http://n:1",
    },
    refuses: ["node.orchestrator_url", /ORCHESTRATORD_URL/],
  },
  {
    title: "a cloud node needs its own URL",
    environment: {
      POOL_MANAGERD_CLOUD_PROFILE: "1",
      LLORCH_API_TOKEN: token,
      ORCHESTRATORD_URL: "http://o:1",
    },
    refuses: ["node.address", /POOL_MANAGERD_ADDRESS/],
  },
  {
    title: "a heartbeat as slow as the node timeout is refused",
    environment: { POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS: "30" },
    refuses: ["node.heartbeat_interval_secs", /30000 ms/],
  },
  {
    title: "a heartbeat faster than the node timeout passes",
    environment: { POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS: "29" },
  },
  {
    title: "one key belongs to one tenant",
    environment: { ORCHD_API_KEYS: "a=k,b=k" },
    refuses: ["auth.api_keys[1]", /its own/],
  },
  {
    title: "a variable for every pool that is wrong is the only problem it makes",
    file: onePool({ devices: [] }),
    environment: { LLORCH_ALLOW_CPU: "yes" },
    refuses: ["LLORCH_ALLOW_CPU", /true or false/],
  },
  {
    title: "a capacity of 0 is refused",
    environment: { ORCHD_ADMISSION_CAPACITY: "0" },
    refuses: ["ORCHD_ADMISSION_CAPACITY", /1\.\.10000/],
  },
];

for (const { title, file, environment, refuses } of cases) {
  test(title, () => {
    const result = resolveConfig({ file, ...(environment === undefined ? {} : { environment }) });
    const problems = result.ok ? [] : result.problems;
    assert.doesNotMatch(JSON.stringify(problems), /hunter2/);
    assert.deepEqual(
      problems.map((each) => each.path),
      refuses === undefined ? [] : [refuses[0]],
    );
    if (refuses !== undefined) assert.match(problems[0]?.accepted ?? "", refuses[1]);
  });
}
