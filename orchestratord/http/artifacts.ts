// Storing documents and reading them back, inside the caller's tenant.

import { OrchError, parseArtifactDocument, parseArtifactId } from "@llama-orch/contract";
import { readBody } from "./body.ts";
import { type Handler, tenantOf } from "./exchange.ts";
import { sendJson } from "./reply.ts";

export const createArtifact: Handler = async ({ wire, caller }, { application, clock }, limitBytes) => {
  const body = await readBody(wire.request, limitBytes, wire.held);
  const document = parseArtifactDocument(body.value);
  const tenantId = tenantOf(caller);
  const put = { tenantId, document, keep: "upload", createdMs: clock.nowMs() } as const;
  sendJson(wire, 201, JSON.stringify(await application.artifacts.put(put)));
};

export const getArtifact: Handler = async ({ wire, caller, id }, { application }) => {
  const artifactId = parseArtifactId(id);
  wire.held.requireRoom();
  const document =
    artifactId === undefined ? undefined : await application.artifacts.get(tenantOf(caller), artifactId);
  if (document === undefined) {
    throw new OrchError("NOT_FOUND", "There is no artifact with this id for this tenant.");
  }
  sendJson(wire, 200, JSON.stringify(document));
};
