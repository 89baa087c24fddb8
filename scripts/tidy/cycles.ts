// No import cycles between files, type-only imports included: a cycle means that two files are one thought,
// and it loads in an order nobody chose. Reports the shortest way round, once per knot.

import { type Problem, resolveImport, type Tree } from "./tree.ts";

type Graph = Map<string, Map<string, number>>;

export function checkCycles(tree: Tree): Problem[] {
  const graph = importGraph(tree);
  const problems: Problem[] = [];
  const reported = new Set<string>();
  for (const start of graph.keys()) {
    if (reported.has(start)) continue;
    const way = shortestWayRound(graph, start);
    if (!way) continue;
    for (const path of knotOf(graph, start)) reported.add(path);
    const line = graph.get(start)?.get(way[1] ?? start) ?? 1;
    const message = `Import cycle: ${way.join(" → ")}. Move what both need into a third file.`;
    problems.push({ path: start, line, message });
  }
  return problems;
}

/** File → the files of ours that it imports, with the line of the first import. */
function importGraph(tree: Tree): Graph {
  const graph: Graph = new Map();
  for (const module of tree.modules.values()) {
    const targets = new Map<string, number>();
    for (const { specifier, line } of module.imports) {
      const target = resolveImport(tree, module.path, specifier);
      if (target && !targets.has(target)) targets.set(target, line);
    }
    graph.set(module.path, targets);
  }
  return graph;
}

function shortestWayRound(graph: Graph, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const path of queue) {
    for (const next of graph.get(path)?.keys() ?? []) {
      if (next === start) return [...wayTo(cameFrom, start, path), start];
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, path);
      queue.push(next);
    }
  }
  return undefined;
}

function wayTo(cameFrom: Map<string, string>, start: string, end: string): string[] {
  const way = [end];
  for (let at = end; at !== start; ) {
    at = cameFrom.get(at) ?? start;
    way.unshift(at);
  }
  return way;
}

/** All files from which `start` can be reached and which it reaches: they lie on cycles with it. */
function knotOf(graph: Graph, start: string): string[] {
  const back: Graph = new Map();
  for (const [path, targets] of graph) {
    for (const [target, line] of targets) {
      const sources = back.get(target) ?? new Map<string, number>();
      back.set(target, sources.set(path, line));
    }
  }
  const behind = reach(back, start);
  return [...reach(graph, start)].filter((path) => behind.has(path));
}

function reach(graph: Graph, start: string): Set<string> {
  const seen = new Set([start]);
  for (const path of seen) for (const next of graph.get(path)?.keys() ?? []) seen.add(next);
  return seen;
}
