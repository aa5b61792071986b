// (h) What a read costs: prompts, A/B tests and models from memory, beside Langfuse's client and plain JavaScript.
//
// As a program, with the sink's URL: measures, and prints the lines as JSON.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ENTRY } from "../support/build.mjs";
import { LISTS } from "../support/lists.mjs";
import { compare } from "../support/measure.mjs";
import { startSink } from "../support/sink.mjs";

const PLAN = { rounds: 21, roundMs: 20 };
const SESSIONS = Array.from({ length: 100 }, (_, i) => `session-${i}`);
const FIVE = { name: "Ada", company: "Acme Corp", plan: "pro", city: "Paris", tone: "warm" };
const VIP = { customerId: "vip-7", context: { plan: "pro", country: "FR" } };

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "h",
  title: "reads from memory",
  columns: ["plain", "fallom", "langfuse"],
  less: true,
  async *lines({ only }) {
    const sink = await startSink();
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [
        fileURLToPath(import.meta.url),
        sink.url,
      ]);
      yield* JSON.parse(stdout).filter(({ what }) => only(what));
    } finally {
      sink.close();
    }
  },
  bounds: () => [],
  notes: ["the floor: the same in plain JavaScript, by an application that has the lists in memory"],
};

/** @returns {Promise<import("../support/table.mjs").Line[]>} */
async function readLines({ prompts, models }, url) {
  await Promise.all([prompts.preload(), models.preload()]);
  const peer = await langfuse(url);
  const plain = plainReads();
  let turn = 0;
  const session = () => SESSIONS[turn++ % SESSIONS.length];

  return [
    await line("prompts.get, a hit, 1 variable", peer, {
      fallom: () => prompts.get("p", { variables: { company: "Acme Corp" } }),
      langfuse: peer.client && (() => peer.render("p", { company: "Acme Corp" })),
      plain: async () => plain.prompt("p", { company: "Acme Corp" }),
    }),
    await line("prompts.get, a hit, 5 variables", peer, {
      fallom: () => prompts.get("five", { variables: FIVE }),
      langfuse: peer.client && (() => peer.render("five", FIVE)),
      plain: async () => plain.prompt("five", FIVE),
    }),
    await line("prompts.getSync, a hit, 5 variables", peer, {
      fallom: () => prompts.getSync("five", { variables: FIVE }),
      plain: () => plain.prompt("five", FIVE),
      note: "getSync: Langfuse reads prompts by promises only",
    }),
    await line("prompts.getAB, a hit, 5 variables", peer, {
      fallom: () => prompts.getAB("test", session(), { variables: FIVE }),
      plain: async () => plain.ab("test", session(), FIVE),
      note: "getAB: Langfuse assigns no sessions to variants, the application does",
    }),
    await line("models.get, a hit, with targeting", peer, {
      fallom: () => models.get("targeted", session(), VIP),
      plain: async () => plain.model("targeted", session(), { ...VIP.context, customerId: VIP.customerId }),
      note: "models.get: Langfuse has no model configs with targeting",
    }),
    await pathologicalLine(prompts, plain, peer),
  ];
}

async function line(what, peer, { note, ...contestants }) {
  const able = Object.fromEntries(Object.entries(contestants).filter(([, call]) => call));
  const values = { langfuse: null, ...(await compare(able, PLAN)) };
  const why = note ?? peer.missing;
  return { what, unit: "µs", values, ...(values.langfuse === null && why && { notes: [why] }) };
}

/** A template that is nothing but openings; each rendering must take time in proportion to its length. */
async function pathologicalLine(prompts, plain, peer) {
  const [{ system_prompt: text }] = LISTS["/prompts"].prompts.filter(({ key }) => key === "braces");
  if (prompts.getSync("braces").system !== text) throw new Error("the template was not left as it is");
  const values = await compare(
    { fallom: () => prompts.getSync("braces"), plain: () => plain.prompt("braces", {}) },
    { rounds: 5, roundMs: 100 },
  );
  const throws =
    peer.client &&
    (await peer.render("braces", {}).then(
      () => undefined,
      ({ message }) => message,
    ));
  const note = throws ? `1 MB of {{: Langfuse's rendering throws: ${throws.slice(0, 60)}` : peer.missing;
  return {
    what: "prompts.getSync of 1 MB of {{",
    unit: "µs",
    values: { ...values, langfuse: null },
    ...(note && { notes: [note] }),
  };
}

/** Langfuse's client, its cache full; or why there is none. */
async function langfuse(url) {
  let LangfuseClient;
  try {
    ({ LangfuseClient } = await import("@langfuse/client"));
  } catch {
    return { missing: "Langfuse's client is not installed: npm ci --prefix bench" };
  }
  const client = new LangfuseClient({ publicKey: "pk", secretKey: "sk", baseUrl: url });
  // A long time, so that no refresh falls into the measurement.
  const options = { cacheTtlSeconds: 3600 };
  const render = async (key, variables) => (await client.prompt.get(key, options)).compile(variables);
  // All of them now: its connection would be closed by the time of the last row.
  await Promise.all(LISTS["/prompts"].prompts.map(({ key }) => client.prompt.get(key, options)));
  const given = await render("five", FIVE);
  const wanted = plainReads().prompt("five", FIVE).system;
  if (given !== wanted) throw new Error(`Langfuse rendered ${given}`);
  return { client, render };
}

/** The same in plain JavaScript, as an application would write it that has the lists in memory. */
function plainReads() {
  const index = (list) => new Map(list.map((entry) => [entry.key, entry]));
  const listed = index(LISTS["/prompts"].prompts);
  const tests = index(LISTS["/prompt-ab-tests"].prompt_ab_tests);
  const configs = index(LISTS["/configs"].configs);
  const render = (text, variables) =>
    text.replace(/\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g, (whole, name) =>
      Object.hasOwn(variables, name) ? String(variables[name]) : whole,
    );
  const prompt = (key, variables) => {
    const { version, system_prompt, user_template } = listed.get(key);
    return { key, version, system: render(system_prompt, variables), user: render(user_template, variables) };
  };
  const walk = (variants, sessionId) => {
    const bucket = createHash("md5").update(sessionId).digest().readUInt32BE(0) % 1_000_000;
    let cumulative = 0;
    const found = variants.findIndex(({ weight }) => {
      cumulative += weight * 10_000;
      return bucket < cumulative;
    });
    return found < 0 ? variants.length - 1 : found;
  };
  const holds = ({ field, operator, value }, context) =>
    operator === "eq" ? context[field] === value : operator === "in" && value.includes(context[field]);
  return {
    prompt,
    ab: (key, sessionId, variables) => {
      const { variants } = tests.get(key);
      const variantIndex = walk(variants, sessionId);
      return { ...prompt(variants[variantIndex].prompt_key, variables), abTestKey: key, variantIndex };
    },
    model: (key, sessionId, context) => {
      const { variants, targeting } = configs.get(key);
      const rule = targeting.rules.find(({ conditions }) => conditions.every((one) => holds(one, context)));
      return variants[rule?.variantIndex ?? walk(variants, sessionId)].model;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const url = process.argv[2];
  const fallom = createRequire(import.meta.url)(ENTRY);
  // No refresh falls into the measurement.
  const options = { tracesUrl: url, configsUrl: url, promptsUrl: url, refreshMs: 3_600_000 };
  await fallom.init({ apiKey: "bench", ...options });
  process.stdout.write(JSON.stringify(await readLines(fallom, url)), () => process.exit());
}
