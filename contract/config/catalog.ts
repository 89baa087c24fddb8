// Where models and artifacts lie, and whom the operator trusts to supply models.

import Type from "typebox";
import { TrustMode } from "../words.ts";
import { HttpUrl } from "./address.ts";
import { bytes, derived, optional, path, section, setting, texts } from "./setting.ts";

const TrustPolicy = section(
  {
    mode: derived(
      TrustMode,
      "permissive; in the cloud profile strict",
      "permissive warns about what is missing, strict refuses it; a wrong digest fails in both.",
    ),
    allowed_registries: optional(texts(), "Hosts and hubs that models may come from; any when absent."),
    mirrors: setting(
      Type.Array(HttpUrl, { maxItems: 64 }),
      [],
      "Mirrors that are tried before the source itself.",
    ),
    require_signature: setting(Type.Boolean(), false, "Whether a model needs a verified signature."),
    require_sbom: setting(Type.Boolean(), false, "Whether a model needs a bill of materials."),
    ca_roots: setting(
      Type.Array(path(), { maxItems: 64 }),
      [],
      "PEM files of certificate authorities to trust as well.",
    ),
  },
  "The least a model has to show; an entry may ask for more, never for less.",
);

export const Catalog = section(
  {
    root: setting(path(), "~/.cache/models", "Where models and their index are stored."),
    quota_bytes: optional(bytes(), "Room for models; beyond it retired and unreferenced ones go first."),
    trust_policy: TrustPolicy,
  },
  "The models of this machine.",
);

export const Artifacts = section(
  { root: derived(path(), "<data_dir>/artifacts", "Where artifacts and transcripts are stored.") },
  "The artifact store.",
);
