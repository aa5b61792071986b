// Which prompt a call used, for many at once. It runs real agents, in a program of its own (support/program.mjs).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { FAIL, NONE } from "./support/linking-load.mjs";
import { measured } from "./support/measured.mjs";
import { startModel } from "./support/model.mjs";
import { runProgram } from "./support/program.mjs";

const LOAD = new URL("support/linking-load.mjs", import.meta.url);

const prompt = (key, version, system, user = null) => ({
  key,
  version,
  system_prompt: system,
  user_template: user,
});
const variant = (prompt_key, prompt_version) => ({ prompt_key, prompt_version, weight: 50 });

/** Four prompts. Versions share their beginnings, and one text holds another. */
const CATALOG = {
  prompts: [
    prompt("support", 1, "You help the customers of {{company}}. Be polite."),
    prompt("support", 2, "You help the customers of {{company}}. Be polite. Never promise a refund."),
    prompt("billing", 1, "You know the terms of {{company}}."),
    prompt("greeting", 4, null, "Greet {{name}} warmly, and ask what the matter is."),
    prompt("terse", 3, "Answer in one line."),
  ],
  prompt_ab_tests: [
    { key: "manner", version: 1, variants: [variant("support", 1), variant("support", 2)] },
    { key: "length", version: 1, variants: [variant("terse", 3), variant("billing", null)] },
  ],
};

const linkOf = (span) =>
  span.prompt_key === undefined
    ? NONE
    : `${span.prompt_key}@${span.prompt_version} ${span.prompt_ab_test_key ?? "-"}/${span.prompt_variant_index ?? "-"}`;

/** Fails when told to; asks its sub-agent, if there is one, once. */
function reply({ system, lastUser, tools, toolResults }) {
  const delayMs = Math.random() * 30;
  if (`${system} ${lastUser}`.includes(FAIL)) return { status: 400, delayMs };
  const expert = toolResults.length ? undefined : tools.find((name) => name.startsWith("agent-"));
  if (!expert) return { text: "Well.", delayMs };
  return { toolCalls: [{ name: expert, args: { prompt: "What are the terms?" } }], delayMs };
}

let model;
let server;

before(async () => {
  [server, model] = await Promise.all([startFallom(), startModel(reply)]);
  await server.setCatalog(CATALOG);
});
after(() => Promise.all([server.close(), model.close()]));

for (const [captureContent, requests] of [
  [true, 1000],
  [false, 200],
]) {
  const how = captureContent ? "" : ", with captureContent: false";
  test(`each of ${requests} requests at once names the prompt that it used, and no other${how}`, async () => {
    await server.reset();
    await server.setCatalog(CATALOG);
    const options = optionsFor(server, { captureContent });
    const load = { load: LOAD.href, model: { baseURL: model.baseURL }, requests };
    const program = child(
      async ({ options, args: { load, ...args } }) => (await import(load)).runLoad({ ...args, options }),
      { options, args: load, timeoutMs: 120_000 },
    );
    const expected = resultOf(await runProgram(program));
    const calls = Object.keys(expected).length;

    const spans = (await server.spans()).filter(({ kind }) => kind === "agent");
    const sum = { linked: 0, wrong: 0, missing: 0, unlinked: 0 };
    const deviations = [];
    for (const span of spans) {
      const { link, way } = expected[`${span.session_id} ${span.name.split(".")[1]}`] ?? {};
      const found = linkOf(span);
      const right = found === link;
      sum[right ? (link === NONE ? "unlinked" : "linked") : found === NONE ? "missing" : "wrong"]++;
      if (!right) deviations.push(`${way} (${span.name}, ${span.status}): ${found} instead of ${link}`);
      assert.equal("fallom.raw.request" in span.attributes, captureContent);
    }
    const failing = spans.filter(({ status }) => status === "ERROR").length;
    measured.log(
      `${spans.length} calls (${failing} failing)${how}: ${sum.linked} linked rightly, ${sum.wrong} wrong, ` +
        `${sum.missing} missing, ${sum.unlinked} rightly without a link`,
    );
    assert.deepEqual(deviations, []);
    assert.equal(spans.length, calls, "each call has its span");
    assert.ok(failing > requests / 20 && sum.unlinked > requests / 10, JSON.stringify(sum));
  });
}
