// The contract's vectors, through the package and a server: whoever moves here keeps the variants and texts of today.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { runInThisContext } from "node:vm";
import fallom, { models, prompts } from "@fallom/trace";
import { startFallom } from "./support/fallom.mjs";

const TEXT = readFileSync(new URL("vectors.json", import.meta.url), "utf8");
const vectors = JSON.parse(TEXT);
const { raw } = vectors;

let server;

before(async () => {
  server = await startFallom();
  await serve(server, catalogText());
  await fallom.init({ apiKey: "test-key", ...server.urls });
});
after(() => server.close());

test("221 sessions get the model of today from each of 10 configs", async () => {
  for (const { session_id, assigned } of vectors.assignment) {
    assert.deepEqual(await modelsOf("set", Object.keys(assigned), session_id), assigned, session_id);
  }
  assert.equal(vectors.assignment.length, 221);
});

test("221 sessions get the variant of today from each of 10 A/B tests", async () => {
  for (const { session_id, assigned } of vectors.assignment) {
    assert.deepEqual(await promptsOf("set", Object.keys(assigned), session_id), assigned, session_id);
  }
});

test("odd weights, integer-like keys and odd session ids change nothing", async () => {
  for (const { session_id, assigned } of raw.cases) {
    const id = sessionIdOf(session_id);
    const why = JSON.stringify(session_id);
    assert.deepEqual(await modelsOf("raw", Object.keys(assigned), id), assigned, why);
    assert.deepEqual(await promptsOf("raw", Object.keys(assigned), id), assigned, why);
  }
  assert.equal(raw.cases.length, 15);
});

test("33 customers are targeted as today", async () => {
  for (const { rules, customerId, context, assigned } of vectors.targeting) {
    const given = JSON.stringify({ rules, customerId, context });
    // The first variant weighs all, so any session shows whether the rules or the hash decided.
    for (const sessionId of ["session-123", "session-xyz", ""]) {
      assert.equal(
        await models.get(`rules/${rules}`, sessionId, { customerId, context }),
        assigned,
        `${given} ${sessionId}`,
      );
    }
  }
  assert.equal(vectors.targeting.length, 33);
});

test("26 templates give the texts of today, as system prompt and as user template", async () => {
  for (const [i, { template, rendered }] of vectors.templates.entries()) {
    const prompt = await prompts.get(`template-${i}`, { variables: vectors.template_variables });
    assert.deepEqual([prompt.system, prompt.user], [rendered, rendered], template);
  }
  assert.equal(vectors.templates.length, 26);
});

test("values of any kind are written as String(value) writes them", async () => {
  for (const [code, rendered] of vectors.template_values_js) {
    const value = runInThisContext(`(${code})`);
    const { system } = await prompts.get("value", { variables: { value } });
    assert.equal(system, `<${rendered}>`, code);
  }
  assert.equal(vectors.template_values_js.length, 13);
});

async function modelsOf(prefix, sets, sessionId) {
  const pairs = sets.map(async (set) => [set, await models.get(`${prefix}/${set}`, sessionId)]);
  return Object.fromEntries(await Promise.all(pairs));
}

async function promptsOf(prefix, sets, sessionId) {
  const pairs = sets.map(async (set) => [set, (await prompts.getAB(`${prefix}/${set}`, sessionId)).key]);
  return Object.fromEntries(await Promise.all(pairs));
}

function sessionIdOf({ utf16, text, times }) {
  return utf16 ? String.fromCharCode(...utf16) : text.repeat(times);
}

/** As text: parsed and written again, integer-like keys would be in order already. */
function catalogText() {
  const sets = [
    ...Object.entries(vectors.variant_sets).map(([name, set]) => [`set/${name}`, JSON.stringify(set)]),
    ...Object.entries(raw.variants_text).map(([name, text]) => [`raw/${name}`, text]),
  ];
  const targeted = Object.entries(vectors.targeting_rules).map(([name, targeting]) =>
    entry(`rules/${name}`, JSON.stringify(vectors.targeting_variants), JSON.stringify(targeting)),
  );
  const configs = [...sets.map(([key, variants]) => entry(key, variants, "null")), ...targeted];
  const tests = sets.map(([key, variants]) => entry(key, variants.replaceAll('"model"', '"prompt_key"')));
  const names = new Set(
    sets.flatMap(([, variants]) => Object.values(JSON.parse(variants))).map(({ model }) => model),
  );
  const templates = vectors.templates.map(({ template }, i) => prompt(`template-${i}`, template));
  const listed = [
    ...[...names].map((name) => prompt(name, name)),
    ...templates,
    prompt("value", "<{{value}}>"),
  ];
  return `{"prompts":${JSON.stringify(listed)},"prompt_ab_tests":[${tests}],"configs":[${configs}]}`;
}

function entry(key, variants, targeting) {
  const more = targeting ? `,"targeting":${targeting}` : "";
  return `{"key":${JSON.stringify(key)},"version":1,"variants":${variants}${more}}`;
}

function prompt(key, text) {
  return { key, version: 1, system_prompt: text, user_template: text };
}

async function serve({ url }, catalog) {
  const put = { method: "PUT", body: catalog, headers: { connection: "close" } };
  const { status } = await fetch(`${url}/_local/catalog`, put);
  assert.equal(status, 204);
}
