// Membership of nodes: registered, heard, silent, gone. A node that has been silent for too long is offline;
// what ran on it is lost, and its replicas take no part in placement until it is heard again.

import { loseRunning } from "./pools/replicas.ts";
import type { Core, Node } from "./state.ts";

export const nodeTimer = (nodeId: string): string => `node ${nodeId}`;

export function nodeRegistered(core: Core, nodeId: string, address: string, zone: string | undefined): void {
  const node: Node = { id: nodeId, address, zone, online: true, lastHeardMs: core.nowMs };
  core.state.nodes.set(nodeId, node);
  core.emit({ type: "Note", about: "node-online", label: nodeId });
  watch(core, node);
}

export function nodeHeard(core: Core, nodeId: string): void {
  const node = core.state.nodes.get(nodeId);
  if (node === undefined) return;
  node.lastHeardMs = core.nowMs;
  if (!node.online) core.emit({ type: "Note", about: "node-online", label: nodeId });
  node.online = true;
  watch(core, node);
}

export function nodeDeregistered(core: Core, nodeId: string): void {
  const node = core.state.nodes.get(nodeId);
  if (node === undefined) return;
  core.emit({ type: "ClearTimer", timer: nodeTimer(nodeId) });
  goOffline(core, node);
  core.state.nodes.delete(nodeId);
}

export function nodeSilent(core: Core, nodeId: string): void {
  const node = core.state.nodes.get(nodeId);
  if (node === undefined) return;
  if (core.nowMs - node.lastHeardMs < core.state.settings.nodes.timeoutMs) return watch(core, node);
  goOffline(core, node);
}

function goOffline(core: Core, node: Node): void {
  if (!node.online) return;
  node.online = false;
  core.emit({ type: "Note", about: "node-offline", label: node.id });
  for (const pool of core.state.pools.values()) {
    for (const replica of pool.replicas.values()) {
      if (replica.facts.nodeId === node.id) loseRunning(core, replica, "node");
    }
  }
}

function watch(core: Core, node: Node): void {
  const atMs = node.lastHeardMs + core.state.settings.nodes.timeoutMs;
  core.emit({ type: "SetTimer", timer: nodeTimer(node.id), atMs });
}
