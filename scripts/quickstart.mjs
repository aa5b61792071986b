// The quick start: npm run quickstart
//
// From a fresh clone to a trace on the screen, with nothing but Rust, Node and npm, and no key or account: it installs,
// builds, starts a Fallom and a model on this machine, runs examples/support-agent.mjs against them, checks that the
// trace holds what the README promises, and shows it. Everything is stopped at the end.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { startFallom } from "../__test__/support/fallom.mjs";
import { startModel, supportReply } from "../__test__/support/model.mjs";
import { runProgram } from "../__test__/support/program.mjs";
import { FIXTURES, install } from "./install.mjs";
import { Failed, fail, ROOT, run, step } from "./steps.mjs";

const EXAMPLE = "examples/support-agent.mjs";
const [MASTRA] = FIXTURES;

/** What the example reads from Fallom. */
const CATALOG = {
  prompts: [
    prompt("support-warm", "You help the customers of {{company}}. Be warm and thorough."),
    prompt("support-brief", "You help the customers of {{company}}. Answer in one sentence."),
    prompt("billing-expert", "You know what {{company}} may offer a customer."),
  ],
  prompt_ab_tests: [
    {
      key: "support-agent-test",
      version: 1,
      variants: ["support-warm", "support-brief"].map((key) => ({
        prompt_key: key,
        prompt_version: null,
        weight: 50,
      })),
    },
  ],
};

async function main() {
  const begun = performance.now();
  checkTools();
  console.log("The first time, installing and building take a few minutes.");
  await prepare();
  const { said, tree, spans } = await runExample();
  console.log(`\n${indented(`$ node ${EXAMPLE}\n${said.trimEnd()}`)}\n\n${tree.trimEnd()}\n`);
  promised(spans);
  console.log(`Done in ${seconds(begun)}. Next: README.md, "Usage".`);
}

/** Says what is missing before a long build does. */
function checkTools() {
  if (Number(process.versions.node.split(".")[0]) < MASTRA.node)
    throw new Failed(`Node ${MASTRA.node} or later is needed; this is ${process.version}.`);
  try {
    execFileSync("cargo", ["--version"], { stdio: "ignore" });
  } catch {
    throw new Failed("Rust is needed, and `cargo` was not found: see https://rustup.rs");
  }
}

async function prepare() {
  await step("install the build tools", () => install(""));
  // Downloads wait for the network, builds for the processor.
  await Promise.all([
    step(`install Mastra ${MASTRA.line}`, () => install(MASTRA.folder)),
    (async () => {
      await step("build @fallom/trace", () => run("npm", ["run", "build"]));
      await step("build fallom-local", () => run("cargo", ["build", "--quiet", "-p", "fallom-local"]));
    })(),
  ]);
}

async function runExample() {
  const fallom = await startFallom();
  const model = await startModel(supportReply);
  try {
    await fallom.setCatalog(CATALOG);
    const said = await step(`run ${EXAMPLE}`, () => runOnce(fallom, model));
    return { said, tree: await treeOf(fallom), spans: await fallom.spans() };
  } finally {
    await Promise.all([fallom.close(), model.close()]);
  }
}

async function runOnce(fallom, model) {
  const env = {
    FALLOM_API_KEY: "local",
    FALLOM_BASE_URL: fallom.url,
    OPENAI_API_KEY: "local",
    OPENAI_BASE_URL: model.baseURL,
  };
  const ended = await runProgram({ file: join(ROOT, EXAMPLE), line: MASTRA.line, env });
  if (ended.code === 0) return ended.stdout + ended.stderr;
  const how = ended.timedOut ? "did not end" : `ended with ${ended.code ?? ended.signal}`;
  throw new Failed(`${ended.stdout}${ended.stderr}\n${EXAMPLE} ${how}.`);
}

/** The traces as text, made for the terminal that will show it. */
async function treeOf(fallom) {
  const { isTTY, columns } = process.stdout;
  const wanted = new URLSearchParams();
  if (isTTY && !process.env.NO_COLOR) wanted.set("color", "1");
  if (isTTY && columns) wanted.set("width", String(columns));
  const answer = await fetch(`${fallom.url}/_local/tree?${wanted}`, { headers: { connection: "close" } });
  return answer.text();
}

/** Whether the trace holds what the README says; fails with all that is missing. */
function promised(spans) {
  const missing = [...PROMISES].filter(([, holds]) => !holds(spans)).map(([what]) => `  - ${what}`);
  if (missing.length) throw new Failed(`The trace above lacks what was promised:\n${missing.join("\n")}`);
  console.log(`✓ all there: ${[...PROMISES.keys()].join(", ")}`);
}

const PROMISES = new Map([
  ["a trace for each call", (spans) => new Set(spans.map((span) => span.trace_id)).size === 2],
  ["session and customer", (spans) => spans.every((span) => span.session_id && span.customer_id)],
  ["models", (spans) => agents(spans).every((span) => span.model?.startsWith("gpt-4o-mini"))],
  ["tokens", (spans) => agents(spans).every((span) => rawOf(span, "usage").totalTokens > 0)],
  ["latency", (spans) => agents(spans).every((span) => span.duration_ms > 0)],
  [
    "time to first token",
    (spans) => named(spans, ".stream").every((span) => span.time_to_first_token_ms > 0),
  ],
  ["tool calls and results", toolsAreThere],
  [
    "messages",
    (spans) => agents(spans).every((span) => rawOf(span, "request") && rawOf(span, "response").text),
  ],
  ["the sub-agent inside its tool", subAgentsAreInside],
  ["prompt variant", (spans) => named(spans, "SupportAgent").every((span) => isVariant(span))],
]);

function toolsAreThere(spans) {
  const tools = spans.filter((span) => span.kind === "tool");
  return ["get_order_status", "lookup_customer"].every((name) => {
    const calls = tools.filter((span) => span.name === `tool.${name}`);
    return (
      calls.length === 2 &&
      calls.every((span) => span.status === "OK" && rawOf(span, "request") && rawOf(span, "response"))
    );
  });
}

function subAgentsAreInside(spans) {
  const byId = new Map(spans.map((span) => [span.span_id, span]));
  const inside = named(spans, "Billing");
  return inside.length === 2 && inside.every((span) => byId.get(span.parent_span_id)?.kind === "tool");
}

const isVariant = ({ prompt_ab_test_key, prompt_variant_index }) =>
  prompt_ab_test_key === "support-agent-test" && [0, 1].includes(prompt_variant_index);

const agents = (spans) => spans.filter((span) => span.kind === "agent");

const named = (spans, part) => agents(spans).filter((span) => span.name.includes(part));

const rawOf = (span, what) => JSON.parse(span.attributes[`fallom.raw.${what}`] ?? "{}");

const indented = (text) => text.replace(/^/gm, "  ");

const seconds = (begun) => `${((performance.now() - begun) / 1000).toFixed(0)} s`;

function prompt(key, system) {
  return { key, version: 1, system_prompt: system, user_template: null };
}

main().catch(fail);
