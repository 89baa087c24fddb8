// What a test file says about itself without being run: the titles of its tests and what it imports. Only
// text that stands in the source counts, so that the links do not depend on a run.

import { type CallExpression, parseSync, Visitor } from "oxc-parser";

/** What stands in the source, around the parts that are computed: one piece when none is. */
export type Title = readonly [string, ...string[]];
export type TestSource = { titles: Title[]; imports: string[]; problem?: string };

const TEST_FUNCTIONS = ["test", "it", "describe", "suite"];
const VARIANTS = ["skip", "todo", "only"];
/** Under which a row of a table of tests carries its title. */
const ROW_TITLES = ["title", "name"];

export function readTestSource(path: string, source: string): TestSource {
  const { program, module, errors } = parseSync(path, source);
  const [error] = errors;
  if (error) return { titles: [], imports: [], problem: `${path} cannot be parsed: ${error.message}` };
  const titles: Title[] = [];
  new Visitor({
    CallExpression(call) {
      if (isTestCall(call)) titles.push(titleOf(call.arguments[0]));
    },
    ArrayExpression({ elements: [first] }) {
      if (first?.type === "Literal") titles.push(...rowTitle(first.value));
    },
    Property({ key, value }) {
      if (key.type === "Identifier" && ROW_TITLES.includes(key.name) && value.type === "Literal") {
        titles.push(...rowTitle(value.value));
      }
    },
  }).visit(program);
  const exported = module.staticExports.flatMap(({ entries }) =>
    entries.map((entry) => entry.moduleRequest?.value),
  );
  const imports = [...module.staticImports.map((each) => each.moduleRequest.value), ...exported];
  return { titles, imports: imports.filter((specifier) => specifier !== undefined) };
}

/** test(), test.skip(), t.test(title, body); a pattern's .test(text) has no second argument. */
function isTestCall({ callee, arguments: args }: CallExpression): boolean {
  if (callee.type === "Identifier") return TEST_FUNCTIONS.includes(callee.name);
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return false;
  const { object, property } = callee;
  if (property.name === "test") return args.length > 1;
  return (
    VARIANTS.includes(property.name) && object.type === "Identifier" && TEST_FUNCTIONS.includes(object.name)
  );
}

/** A row of a table of tests, as its first cell or under a name, counts once it ends in ids. */
function rowTitle(value: unknown): Title[] {
  return typeof value === "string" && /\[[^\]]+\]$/.test(value) ? [[value]] : [];
}

function titleOf(node: CallExpression["arguments"][number] | undefined): Title {
  if (node?.type === "Literal" && typeof node.value === "string") return [node.value];
  if (node?.type === "TemplateLiteral") {
    const [first = "", ...others] = node.quasis.map(({ value }) => value.cooked ?? value.raw);
    return [first, ...others];
  }
  if (node?.type === "BinaryExpression" && node.operator === "+") {
    const [left, [first, ...others]] = [titleOf(node.left), titleOf(node.right)];
    const [start = "", ...middle] = [...left.slice(0, -1), (left.at(-1) ?? "") + first, ...others];
    return [start, ...middle];
  }
  return ["", ""];
}

export function textOf(title: Title): string {
  return title.join("…");
}

/** Whether a test that ran under this name can be the one of this title. */
export function isRunOf(title: Title, name: string): boolean {
  const pieces = title.map((piece) => piece.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${pieces.join(".*")}$`, "s").test(name);
}
