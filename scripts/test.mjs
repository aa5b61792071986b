// All tests: npm test [-- [--only rust|js|mastra-0.24|mastra-1] [name…] [--node-test-option…]]
//
// A fresh clone needs Rust, Node 20 and npm; all else is fetched or built here. Names choose test files, options go to
// `node --test`: `npm test -- --only mastra-1 stream --test-name-pattern=abort` runs what of __test__/*stream*.test.mjs fits.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FIXTURES, install } from "./install.mjs";
import { nodeBinary } from "./nodes.mjs";
import { Failed, fail, ROOT, run, step } from "./steps.mjs";

const TEST_MS = 60_000;

const SUITES = ["rust", "js", ...FIXTURES.map(({ line }) => `mastra-${line}`)];

async function main() {
  const { only, names, options } = parse(process.argv.slice(2));
  const begun = performance.now();
  if (!only || only === "rust") await rust();
  if (only !== "rust") await javascript(only, names, options);
  console.log(`\nAll tests passed in ${((performance.now() - begun) / 1000).toFixed(0)} s.`);
}

function parse(args) {
  const asked = args.indexOf("--only");
  const [, only] = asked < 0 ? [] : args.splice(asked, 2);
  if (asked >= 0 && !SUITES.includes(only)) throw new Failed(`--only takes one of ${SUITES.join(", ")}`);
  const isOption = (arg) => arg.startsWith("-");
  return { only, names: args.filter((arg) => !isOption(arg)), options: args.filter(isOption) };
}

async function rust() {
  const test = (...args) => run("cargo", ["test", "--quiet", ...args], { show: true });
  // With Node: without it there would be no pipeline and no transport to test. That it compiles without, the local
  // server shows.
  await step("test the core", () => test("-p", "fallom-trace"));
  await step("test the local server", () => test("-p", "fallom-local"));
}

async function javascript(only, names, options) {
  const fixtures = FIXTURES.filter(({ line }) => !only || only === "js" || only === `mastra-${line}`);
  await step("install the root", () => install(""));
  // Downloads wait for the network, builds for the processor.
  const [nodes] = await Promise.all([fetchAll(fixtures), build()]);
  for (const [i, { line }] of fixtures.entries()) {
    const all = i === 0 && line === FIXTURES[0].line;
    await step(`test with Mastra ${line}`, () => test({ line, node: nodes[i], all, names, options }));
  }
}

async function fetchAll(fixtures) {
  const nodes = [];
  for (const { line, folder, node } of fixtures) {
    await step(`install Mastra ${line}`, () => install(folder));
    nodes.push(await step(`find Node ${node}`, () => nodeBinary(node)));
  }
  return nodes;
}

async function build() {
  await step("build the package", () => run("npm", ["run", "build"]));
  await step("build the local server", () => run("cargo", ["build", "--quiet", "-p", "fallom-local"]));
}

/** The tests that use no Mastra run once, with the first line. */
async function test({ line, node, all, names, options }) {
  const files = testFiles(names).filter((file) => all || usesMastra(file));
  if (!files.length) return console.log(`  no test is for Mastra ${line}`);
  const flags = ["--test", "--test-reporter=./scripts/reporter.mjs", `--test-timeout=${TEST_MS}`];
  await run(node, [...flags, ...options, ...files], { env: { MASTRA: line }, show: true });
}

function testFiles(names) {
  return readdirSync(join(ROOT, "__test__"))
    .filter((file) => file.endsWith(".test.mjs"))
    .filter((file) => !names.length || names.some((name) => file.includes(name)))
    .map((file) => join("__test__", file));
}

const usesMastra = (file) => /support\/(mastra|program)\.mjs/.test(readFileSync(join(ROOT, file), "utf8"));

main().catch(fail);
