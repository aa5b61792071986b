// The regression guard: npm run guard [-- [--only allocations|crossings|instructions] [--measure]]
//
// What a span costs, in figures that are the same on a busy machine: what the native path allocates, how often a call
// crosses to the core, and how many instructions a span takes. The bounds stand in __test__/bounds.json. `npm test` checks
// the first two; the third needs valgrind and the addon as `npm run build` makes it, and is a step of `.ci/run`.
// --measure: says the figures, and fails for none.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { countInstructions } from "./guard/instructions.mjs";
import { FIXTURES } from "./install.mjs";
import { nodeBinary } from "./nodes.mjs";
import { platform } from "./shim.mjs";
import { Failed, fail, ROOT, run, step } from "./steps.mjs";

const PARTS = { allocations, crossings, instructions };

/** The bounds were counted here. Other processors have other instructions. */
const BOUND = process.platform === "linux" && process.arch === "x64";

/** A larger addon was built with --debug, and counting its instructions means nothing. */
const LARGEST_RELEASE = 20 * 2 ** 20;

async function main() {
  const { only, measure } = parse(process.argv.slice(2));
  for (const [name, check] of Object.entries(PARTS)) {
    if (!only || only === name) await step(name, () => check(measure));
  }
}

function parse(args) {
  const measure = args.includes("--measure");
  const asked = args.indexOf("--only");
  const only = asked < 0 ? undefined : args[asked + 1];
  if (asked >= 0 && !Object.hasOwn(PARTS, only))
    throw new Failed(`--only takes one of ${Object.keys(PARTS).join(", ")}`);
  return { only, measure };
}

async function allocations(measure) {
  const args = ["test", "--quiet", "-p", "fallom-trace", "--test", "allocations", "--", "--nocapture"];
  await run("cargo", args, { env: measuring(measure), show: true });
}

async function crossings(measure) {
  for (const { line, node } of FIXTURES) {
    const flags = ["--test", "--test-reporter=./scripts/reporter.mjs", "__test__/crossings.test.mjs"];
    await run(await nodeBinary(node), flags, { env: { MASTRA: line, ...measuring(measure) }, show: true });
  }
}

/** The tests say what they count, and compare it with nothing. */
const measuring = (measure) => (measure ? { GUARD_MEASURE: "1" } : {});

async function instructions(measure) {
  checkAddon();
  const counted = await countInstructions();
  if (!counted) return console.log("  valgrind is not here: instruction counts were not checked");
  const { instructions: bounds } = JSON.parse(readFileSync(join(ROOT, "__test__/bounds.json"), "utf8"));
  const over = [];
  for (const [shape, places] of Object.entries(counted)) {
    for (const [place, count] of Object.entries(places)) {
      const most = bounds[place][shape];
      const said = `${place}, ${shape}: ${count} instructions a span; at most ${most}`;
      console.log(`  ${said}`);
      if (!(count <= most)) over.push(said);
    }
  }
  if (!BOUND) return console.log("  the bounds are those of linux-x64: nothing was compared with them");
  if (over.length && !measure) throw new Failed(`A span takes more than it may:\n  ${over.join("\n  ")}`);
}

function checkAddon() {
  const addon = statSync(join(ROOT, `fallom-trace.${platform()}.node`), { throwIfNoEntry: false });
  if (!addon || addon.size > LARGEST_RELEASE)
    throw new Failed("The addon is missing, or was built with --debug: run `npm run build` first.");
}

main().catch(fail);
