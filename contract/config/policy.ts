// Sandboxed policies: which modules run, what they may touch, and what the tools they are offered may fetch.

import Type from "typebox";
import { Digest } from "../ids.ts";
import { Hostname } from "./address.ts";
import { bytes, closed, ms, path, positive, required, section, setting, texts } from "./setting.ts";

const domains = () => Type.Array(Hostname, { maxItems: 1024, uniqueItems: true });

const AbsolutePath = Type.String({ pattern: "^/", maxLength: 4096, "x-accepts": "an absolute path" });

const Plugin = closed({
  path: required(path(), "The WebAssembly module."),
  sha256: required(Digest, "The digest of the module; a file that differs is not loaded."),
  grants: section(
    {
      read: setting(Type.Array(AbsolutePath, { maxItems: 64 }), [], "Directories the module may read."),
      network: setting(domains(), [], "Hosts the module may call through the tools."),
    },
    "What the module may touch; nothing unless named here.",
  ),
});

export const Policy = section(
  {
    plugins: setting(Type.Array(Plugin, { maxItems: 64 }), [], "Modules that are asked, in this order."),
    time_ms: setting(ms(1, 10_000), 10, "Time of one call."),
    memory_mib: setting(positive(4096), 16, "Memory of one call."),
    input_bytes: setting(bytes(1024), 262_144, "The largest snapshot handed to a module."),
    tools: section(
      {
        enabled: setting(Type.Boolean(), false, "Whether modules may fetch and search at all."),
        allow_domains: setting(domains(), [], "Hosts that may be fetched."),
        deny_domains: setting(domains(), [], "Hosts that may not, whatever else allows them."),
        mime: setting(
          texts(),
          ["text/plain", "text/html", "application/json"],
          "Media types that may be fetched.",
        ),
        max_bytes: setting(bytes(), 2 ** 20, "The largest answer."),
        rps: setting(positive(10_000), 5, "Calls per second."),
      },
      "The fetch and search tools.",
    ),
  },
  "Policies that judge admission and placement.",
);
