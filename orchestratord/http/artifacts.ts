// Storing documents and reading them back, inside the caller's tenant.

import { OrchError, parseArtifactDocument, parseArtifactId } from "@llama-orch/contract";
import { readBody } from "./body.ts";
import { type Handler, tenantOf } from "./exchange.ts";
import { sendJson } from "./reply.ts";

export const createArtifact: Handler = async ({ wire, caller }, { application, clock }, limitBytes) => {
  using body = await readBody(wire.request, limitBytes, wire.held);
  const document = parseArtifactDocument(body.value);
  const tenantId = tenantOf(caller);
  const put = { tenantId, document, keep: "upload", createdMs: clock.nowMs() } as const;
  sendJson(wire, 201, JSON.stringify(await application.artifacts.put(put)));
};

export const getArtifact: Handler = async ({ wire, caller, id }, { application }) => {
  const artifactId = parseArtifactId(id);
  if (artifactId === undefined) throw unknownArtifact();
  const { artifacts } = application;
  // As with streams: a key that is bound to no tenant may read what belongs to any.
  const { tenantId } = caller;
  const bytes = await artifacts.sizeOf(tenantId, artifactId);
  if (bytes === undefined) throw unknownArtifact();
  // Until the socket has it, which then accounts for what it did not take at once.
  using _room = wire.held.reserve(copies * bytes);
  const document = await artifacts.get(tenantId, artifactId);
  if (document === undefined) throw unknownArtifact();
  sendJson(wire, 200, JSON.stringify(document));
};

/** As it is stored, as a text, as a document, and as the text that goes out. */
const copies = 4;

const unknownArtifact = () =>
  new OrchError("NOT_FOUND", "There is no artifact with this id for this tenant.");
