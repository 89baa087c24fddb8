import assert from "node:assert/strict";
import { test } from "node:test";
import { problemText } from "../problem.ts";
import { printedValues } from "./printed.ts";
import { type ConfigInput, type RefusedConfig, type ResolvedConfig, resolveConfig } from "./resolve.ts";

const pool = { id: "chat", engine: "llamacpp", model: "file:m.gguf", devices: [0] };

function resolved(input: ConfigInput): ResolvedConfig {
  const result = resolveConfig(input);
  assert.ok(result.ok, result.ok ? "" : result.problems.map(problemText).join("\n"));
  return result;
}

function refused(input: ConfigInput): RefusedConfig {
  const result = resolveConfig(input);
  assert.ok(!result.ok, "the configuration was accepted");
  return result;
}

/** What a person sees of one value of a configuration that is in order. */
const shownAt = (path: string, file: object): unknown =>
  printedValues(resolved({ file })).find((row) => row.path === path)?.value;

test("no secret is in a problem, a warning or the printed configuration", () => {
  const secret = "sEcReT-0123456789-sEcReT";
  const good = resolved({
    file: {
      auth: { api_keys: [secret, `team=${secret}2`] },
      network: { proxy_url: `http://user:${secret}@proxy:3128` },
      pools: [
        {
          ...pool,
          provisioning: {
            env: { HF_TOKEN: secret },
            flags: ["--api-key", secret, `--hf-token=${secret}`, "-v"],
          },
        },
      ],
    },
    environment: { LLORCH_API_TOKEN: secret, AUTH_TOKEN: `${secret}-other` },
  });
  assert.equal(good.warnings.length, 1);
  const printed = JSON.stringify([printedValues(good), good.warnings]);
  assert.ok(!printed.includes(secret), printed);
  assert.match(printed, /\["--api-key","\[REDACTED\]","--hf-token=\[REDACTED\]","-v"\]/);
  const badInputs: ConfigInput[] = [
    { file: { auth: secret } },
    { file: { auth: { token: ` ${secret}`, api_keys: secret } } },
    { file: { auth: { api_keys: [secret, secret, `${secret}=a=b`, { key: secret }] } } },
    { file: { auth: { api_keys: [secret, `team=${secret}`] } } },
    {
      file: {
        network: { proxy_url: `ftp://u:${secret}@p` },
        pools: [{ provisioning: { env: { A: [secret] } } }],
      },
    },
    { environment: { LLORCH_API_TOKEN: `${secret} ${secret}`, ORCHD_API_KEYS: `a b${secret},=${secret}` } },
  ];
  for (const input of badInputs) {
    const { problems, warnings } = refused(input);
    const said = [...problems.map(problemText), ...warnings].join("\n");
    assert.ok(!said.includes(secret), said);
  }
});

/** Each row: a value that holds a secret, and what a person may see of it. */
const printedUrls: readonly [string, string][] = [
  ["http://user:hunter2@proxy:3128", "http://[REDACTED]@proxy:3128"],
  ["http://user:p@hunter2@proxy", "http://[REDACTED]@proxy"],
  ["http://user:@hunter2/hunter2@proxy/x", "http://[REDACTED]@proxy/x"],
  ["http://proxy/v1?api_key=hunter2", "http://proxy/v1?api_key=[REDACTED]"],
  ["http://proxy/v1?a=hunter2&b=hunter2#hunter2", "http://proxy/v1?a=[REDACTED]&b=[REDACTED]#[REDACTED]"],
  ["http://proxy/v1?hunter2", "http://proxy/v1?[REDACTED]"],
  ["http://proxy:3128/v1", "http://proxy:3128/v1"],
];
for (const [url, shown] of printedUrls) {
  test(`of ${url.replaceAll("hunter2", "…")} a person sees ${shown}`, () => {
    const file = { telemetry: { otlp_endpoint: url } };
    assert.equal(shownAt("telemetry.otlp_endpoint", file), shown);
  });
}

test("references to models and engines are no credentials", () => {
  const kept = [`oci://registry/m@sha256:${"a".repeat(64)}`, "hf:org/model", "file:/m/a@b.gguf"];
  for (const model of kept) {
    assert.equal(shownAt("pools[0].model", { pools: [{ ...pool, model }] }), model);
  }
});

test("the secret behind an engine's flag is hidden, however it is written", () => {
  const rows: [flags: string[], shown: string[]][] = [
    [
      ["-hft", "hunter2"],
      ["-hft", "[REDACTED]"],
    ],
    [["--api-key hunter2 -v"], ["--api-key [REDACTED]"]],
    [["--api-key=hunter2"], ["--api-key=[REDACTED]"]],
    [
      ["--password", "hunter2"],
      ["--password", "[REDACTED]"],
    ],
    [
      ["--proxy", "user:hunter2@proxy:1"],
      ["--proxy", "[REDACTED]@proxy:1"],
    ],
    [
      ["--threads", "4", "--metrics"],
      ["--threads", "4", "--metrics"],
    ],
  ];
  for (const [flags, shown] of rows) {
    const file = { pools: [{ ...pool, provisioning: { flags } }] };
    assert.deepEqual(shownAt("pools[0].provisioning.flags", file), shown);
  }
});

test("a wrong URL, flag or repository is never shown, since nobody can tell its secret", () => {
  const secret = "hunter2";
  const wrong = [
    `user:${secret}@proxy:3128`,
    `http:/user:${secret}@proxy`,
    `https://u:${secret}/ @p`,
    `--api-key ${secret}`,
    secret,
  ];
  const inputs = wrong.flatMap((text): ConfigInput[] => [
    { file: { network: { proxy_url: text } } },
    { file: { network: text } },
    { file: { nodes: { pool_managers: text } } },
    { file: { nodes: { pool_managers: [text] } } },
    { file: { node: { address: text, orchestrator_url: text } } },
    { file: { llamacpp: { url: text } } },
    { file: { telemetry: { otlp_endpoint: text } } },
    { file: { catalog: { trust_policy: { mirrors: [text] } } } },
    { file: { pools: [{ ...pool, provisioning: { flags: text } }] } },
    { file: { pools: [{ ...pool, provisioning: { env: text } }] } },
    { file: { pools: [{ ...pool, provisioning: { base_url: text } }] } },
    { environment: { POOL_MANAGERD_URL: text } },
    { environment: { POOL_MANAGERD_ADDRESS: text, ORCHESTRATORD_URL: text } },
    { environment: { ORCHD_LLAMACPP_URL: text, OTEL_EXPORTER_OTLP_ENDPOINT: text } },
  ]);
  inputs.push({ file: { pools: [{ ...pool, provisioning: { flags: [12345], source: { repo: 12345 } } }] } });
  for (const input of inputs) {
    const said = refused(input).problems.map(problemText).join("\n");
    assert.doesNotMatch(said, /hunter2|12345/);
  }
});

test("two models at one base_url are told without their credentials", () => {
  const provisioning = { mode: "external", base_url: "http://e:1" };
  const model = (name: string) => `https://u:hunter2@h/${name}?sig=hunter2`;
  const { problems } = refused({
    file: { pools: ["a", "b"].map((id) => ({ ...pool, id, model: model(id), provisioning })) },
  });
  assert.equal(problems.length, 1);
  assert.doesNotMatch(problems.map(problemText).join(), /hunter2/);
});
