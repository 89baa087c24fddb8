// How an engine gets onto a machine: which way, from where, pinned to what, and what the way may do to the
// machine.

import Type from "typebox";
import { Digest, ModelRef } from "../ids.ts";
import { ProvisioningMode } from "../words.ts";
import { EngineUrl, HttpUrl } from "./address.ts";
import {
  closed,
  derived,
  optional,
  path,
  required,
  secret,
  secretInPart,
  section,
  setting,
  text,
  texts,
} from "./setting.ts";

const Source = closed({
  repo: required(secretInPart(text()), "The git repository of the engine."),
  ref: required(text(256), "The tag, branch or commit to build."),
  submodules: setting(Type.Boolean(), false, "Whether submodules are fetched too."),
  build: section(
    {
      cmake_flags: setting(texts(), [], "Flags handed to cmake as they are."),
      generator: optional(text(128), "The cmake generator; cmake's own choice when absent."),
      cache_dir: optional(path(), "Where builds are kept; the engine cache when absent."),
    },
    "How the engine is built.",
  ),
});

const Container = closed({
  image: required(text(), "The image without its tag."),
  tag: required(text(128), "The tag of the image."),
});

const Package = closed({
  name: required(text(256), "The package of an Arch-like distribution."),
  version: optional(text(128), "The version to install; the newest when absent."),
  repo: optional(text(256), "The repository to install from; the distribution's own when absent."),
});

const Binary = closed({
  url: required(HttpUrl, "Where the archive or executable is downloaded from."),
  checksum: required(Digest, "The sha256 of what is downloaded; anything else is refused."),
  install_dir: optional(path(), "Where it is unpacked; the engine cache when absent."),
});

export const Provisioning = section(
  {
    mode: derived(
      ProvisioningMode,
      "embedded for llamacpp, else external",
      "Where the engine comes from: built in, running already, or built, pulled or installed.",
    ),
    engine: optional(
      closed({
        id: optional(text(256), "The id of an entry in the engine catalog."),
        version: optional(text(128), "The engine version that must run."),
      }),
      "Pins the engine; a replica that reports another version is refused.",
    ),
    allow_package_installs: setting(
      Type.Boolean(),
      false,
      "Permits pacman to install missing tools and packages, on Arch-like systems only.",
    ),
    allow_binary_downloads: setting(Type.Boolean(), false, "Permits downloading an engine in binary mode."),
    allow_cpu_fallback: setting(
      Type.Boolean(),
      false,
      "Permits planning a build without CUDA where no GPU is found; serving on CPU still needs allow_cpu.",
    ),
    base_url: optional(EngineUrl, "Where the engine of external mode listens."),
    source: optional(Source, "What source mode builds."),
    container: optional(Container, "What container mode pulls."),
    package: optional(Package, "What package mode installs."),
    binary: optional(Binary, "What binary mode downloads."),
    model: optional(
      closed({
        ref: required(ModelRef, "Where the model is fetched from, when the pool's model is only its name."),
        cache_dir: optional(path(), "Where the model is stored; the catalog root when absent."),
        checksum: optional(Digest, "The sha256 of the model file."),
      }),
      "Where the model comes from.",
    ),
    ports: setting(
      Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), { maxItems: 1024, uniqueItems: true }),
      [],
      "Loopback ports that replicas take in turn; free ones when empty.",
    ),
    env: setting(
      secret(Type.Record(Type.String(), secret(Type.String()))),
      {},
      "Variables for the engine process; their values are treated as secrets.",
    ),
    flags: setting(
      secretInPart(Type.Array(secretInPart(text()), { maxItems: 256 })),
      [],
      "Flags added to the engine's command line.",
    ),
  },
  "How the engine of this pool is provided.",
);
