// The three configurations that the schema shows as examples. They are data, so that a test can resolve them.

export interface ConfigExample {
  readonly title: string;
  readonly file: object;
  /** What the environment has to add, since a token does not belong into a file that is shared. */
  readonly environment: Readonly<Record<string, string>>;
}

const gpuPool = { id: "chat", engine: "llamacpp", model: "hf:org/model/model-q4_k_m.gguf", devices: [0] };

export const configExamples: readonly ConfigExample[] = [
  {
    title: "loopback development",
    file: {
      auth: { bind_addr: "127.0.0.1:8080" },
      pools: [
        { id: "demo", engine: "llamacpp", model: "file:models/demo.gguf", devices: [], allow_cpu: true },
      ],
    },
    environment: {},
  },
  {
    title: "LAN exposure with a token",
    file: { auth: { bind_addr: "0.0.0.0:8080", auth_optional: true }, pools: [gpuPool] },
    environment: { LLORCH_API_TOKEN: "replace-this-with-a-long-token" },
  },
  {
    title: "behind a reverse proxy that ends TLS",
    file: {
      auth: { bind_addr: "127.0.0.1:8080" },
      network: { allowed_hosts: ["llm.example.org"], cors_origins: ["https://chat.example.org"] },
      pools: [gpuPool],
    },
    environment: { ORCHD_API_KEYS: "team-a=replace-this-key" },
  },
];
