// What the tracer tells of itself explains each decision, and gives away neither the key nor content, whatever happens.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { hearing } from "./support/listening.mjs";
import { startModel } from "./support/model.mjs";

const LINE = process.env.MASTRA || "0.24";
const SUPPORT = new URL("support/", import.meta.url).href;
const NEEDLE = /needle/i;
const needle = (place) => `needle-${place}`;

const CATALOG = {
  prompts: [
    { key: "brief", version: 3, system_prompt: `${needle("system")} {{name}}`, user_template: "" },
    { key: "warm", version: 1, system_prompt: `${needle("variant")} {{name}}`, user_template: "" },
  ],
  prompt_ab_tests: [
    { key: "tone", version: 1, variants: [{ prompt_key: "warm", prompt_version: null, weight: 100 }] },
  ],
  configs: [{ key: "models", version: 2, variants: [{ model: "gpt-4o-mini", weight: 100 }] }],
};

const SPANS = { path: "/v1/traces" };
const GARBAGE = [
  `{"prompts": ["${needle("garbage")}"], "configs": "${needle("garbage")}"}`,
  `"${needle("garbage")}`,
  `<html>${needle("garbage")}</html>`,
];

/** What a server may do: its faults, and what is heard of it. */
const SERVERS = {
  "that works": { faults: [], hears: ["negotiated", "truncated", "warning"] },
  "that refuses the key": {
    faults: ["/v1", "/prompts", "/configs"].map((path) => ({ path, status: 401, body: needle("answer") })),
    hears: ["unauthorized", "dropped", "refresh-failed", "warning"],
    // The words before the `@` are the user's, too.
    userinfo: `${needle("user")}:${needle("password")}@`,
  },
  "that takes no such body": {
    faults: [{ ...SPANS, status: 413, body: needle("answer") }],
    hears: ["dropped", "warning"],
  },
  "that fails": {
    faults: ["/v1", "/prompts", "/configs"].map((path) => ({
      ...{ path, status: 500, times: 3 },
      ...{ body: needle("answer"), headers: { "x-reason": needle("header") } },
    })),
    hears: ["retrying", "refresh-failed"],
  },
  "that breaks off": { faults: [{ ...SPANS, reset: "before", times: 6 }], hears: ["retrying"] },
  "that asks to wait": {
    faults: [{ ...SPANS, status: 429, headers: { "retry-after": needle("header") }, times: 3 }],
    hears: ["retrying"],
  },
  "that sends garbage": {
    faults: [
      ...["/prompts", "/prompt-ab-tests", "/configs"].map((path, i) => ({ path, body: GARBAGE[i] })),
      { ...SPANS, status: 400, body: GARBAGE[0], headers: { "accept-post": needle("header") } },
    ],
    hears: ["refresh-failed", "dropped"],
  },
};

/** A model that calls each tool once, and tells secrets. */
function reply(call) {
  if (call.lastUser.includes("fail"))
    return { status: 400, errorBody: { error: { message: needle("provider") } } };
  if (call.tools.length === 0 || call.toolResults.length) return { text: needle("text") };
  return { toolCalls: call.tools.map((name) => ({ name, args: { id: needle("argument") } })) };
}

/** An application that does all that it should not, too. */
async function application({ fallom, prompts, models, wrapTraced, listening, heard, sleep, args }) {
  const { makeAgent, makeTool, modelOf, once, z } = await import(`${args.support}mastra.mjs`);
  const hidden = (place) => `needle-${place}`;
  const swallow = (promise) => promise.catch(() => {});

  for (const misused of [
    { apiKey: [hidden("key")] },
    { tracesUrl: hidden("url") },
    { batch: hidden("batch") },
  ]) {
    try {
      fallom.init({ ...listening, ...misused });
    } catch (error) {
      heard.push({ type: "thrown", message: error.message });
    }
  }
  await fallom.init(listening);
  await fallom.init({ ...listening, maxSpanBytes: 9000, refreshMs: 1 });

  const session = fallom.session({
    configKey: "c",
    sessionId: "s",
    metadata: { plan: { v: hidden("metadata") } },
  });
  fallom.session({
    configKey: {},
    sessionId: [hidden("id")],
    tags: hidden("tag"),
    waitUntil: hidden("function"),
  });
  const variables = { name: hidden("variable") };
  const asked = [prompts.get("brief", { variables }), prompts.getAB("tone", "s", { variables })];
  const [brief, warm] = await Promise.all(asked.map(swallow));
  await swallow(prompts.get("not there", { variables }));
  await models.get("models", "s", { fallback: "m", context: { secret: hidden("targeting") } });

  const fails = () => {
    throw Object.assign(new RangeError(hidden("tool-error")), { detail: hidden("detail") });
  };
  const tool = (id, execute) =>
    makeTool({ id, description: hidden("description"), inputSchema: z.object({ id: z.string() }), execute });
  const agentWith = (instructions) =>
    session.wrapMastraAgent(
      makeAgent({
        instructions: instructions ?? hidden("instructions"),
        model: modelOf(args),
        tools: { works: tool("works", () => ({ secret: hidden("result") })), fails: tool("fails", fails) },
      }),
    );
  await agentWith(brief?.system).generate(hidden("message"));
  const stream = await agentWith(warm?.system).stream(hidden("message"));
  for await (const _ of stream.textStream);
  await swallow(agentWith(undefined).generate(`fail ${hidden("message")}`, once));

  session
    .span("manual")
    .set({ a: hidden("attribute"), input: hidden("x") })
    .end();
  const long = { text: hidden("long ").repeat(5000) };
  await wrapTraced(session, "long", async (value) => value)(long);
  await swallow(wrapTraced(session, "fails", async () => fails())());
  session
    .span("failed")
    .setError(new Error(hidden("error")))
    .end();
  session.span("ids", { traceId: hidden("trace"), parentSpanId: hidden("span") }).end();

  await fallom.flush({ timeoutMs: 4000 });
  await fallom.flush({ timeoutMs: hidden("timeout") });
  // What was held back.
  await sleep(1100);
  return { heard, stats: fallom.stats() };
}

describe(`in the middle of all that can happen, with Mastra ${LINE}`, { concurrency: 2 }, () => {
  let model;
  before(async () => {
    model = await startModel(reply);
  });
  after(() => model.close());

  for (const [name, { faults, hears, userinfo = "" }] of Object.entries(SERVERS)) {
    test(`nothing secret is in events, debug lines, warnings and errors: a server ${name}`, async () => {
      const server = await startFallom();
      await server.setCatalog(CATALOG);
      await server.setFaults(faults);
      const tracesUrl = server.url.replace("//", `//${userinfo}`);
      const options = optionsFor(server, {
        apiKey: needle("key"),
        tracesUrl,
        debug: true,
        maxSpanBytes: 8192,
        batch: { maxDelayMs: 5 },
        retry: { baseMs: 20, maxMs: 50 },
        refreshMs: 200,
      });
      const args = { baseURL: model.baseURL, support: SUPPORT, url: server.url };
      const ended = await hearing(application, { options, args });
      const arrived = (await server.raw()).toString();
      await server.close();

      const { heard, stats } = resultOf(ended);
      const types = new Set(heard.map(({ type }) => type));
      for (const type of [...hears, "thrown"]) assert.ok(types.has(type), `${type}: ${[...types]}`);
      assert.ok(heard.length > 3 && ended.stderr.length > 1000);
      // The needles were there to be found.
      const sent = ["key", "message", "argument", "result", "tool-error", "attribute"];
      if (stats.delivered > 0)
        for (const place of sent) assert.ok(arrived.includes(needle(place)), `${place} was sent`);
      assert.doesNotMatch(JSON.stringify([heard, stats]), NEEDLE);
      assert.doesNotMatch(ended.stderr, NEEDLE);
    });
  }
});

test("debug explains each decision in a line", async () => {
  const server = await startFallom();
  const model = await startModel(reply);
  await server.setCatalog(CATALOG);
  await server.setFaults([{ ...SPANS, status: 503, times: 6 }]);
  const options = optionsFor(server, { debug: true, retry: { baseMs: 40, maxMs: 80 }, maxSpanBytes: 8192 });
  const args = { baseURL: model.baseURL, support: SUPPORT, url: server.url };
  const ended = await hearing(
    async ({ fallom, prompts, models, wrapTraced, options, args, sleep }) => {
      const { makeAgent, modelOf } = await import(`${args.support}mastra.mjs`);
      fallom.init(options);
      const platform = { get: () => ({ waitUntil: () => {} }) };
      globalThis[Symbol.for("@vercel/request-context")] = platform;
      const session = fallom.session({ configKey: "c", sessionId: "s" });
      const { system } = await prompts.get("brief");
      await prompts.getAB("tone", "a session");
      await models.get("models", "s");
      const ask = (instructions) =>
        session.wrapMastraAgent(makeAgent({ instructions, model: modelOf(args) })).generate("Hello");
      await ask(system);
      await ask("of nobody's");
      await wrapTraced(session, "long", async () => "x".repeat(50_000))();
      while (fallom.stats().delivered < 3) await sleep(10);
      await fallom.flush();
      session.span("at the end").end();
      delete globalThis[Symbol.for("@vercel/request-context")];
    },
    { options, args },
  );
  await Promise.all([server.close(), model.close()]);
  assert.equal(ended.code, 0, ended.stderr);
  for (const decision of [
    /^\[fallom\] spans go to http:\S+, with content; prompts from http:\S+, configs from http:\S+$/m,
    /^\[fallom\] prompts were read from http:\S+$/m,
    /^\[fallom\] negotiated \(offered\): http:\S+ takes batches \(NDJSON\), zstd, gzip$/m,
    /^\[fallom\] A\/B test tone: variant 0, prompt warm version 1$/m,
    /^\[fallom\] config models version 2: model gpt-4o-mini$/m,
    /^\[fallom\] span \w{16} used prompt brief version 3$/m,
    /^\[fallom\] span \w{16} used no prompt that is known$/m,
    /^\[fallom\] truncated: \d+ bytes of a span were cut to fit into maxSpanBytes \(8192\)$/m,
    /^\[fallom\] sent \d+ spans, \d+ bytes, ndjson, zstd: the server answered 503, \d+ ms$/m,
    /^\[fallom\] sent \d+ spans, \d+ bytes, ndjson, zstd: taken, \d+ ms$/m,
    /^\[fallom\] retrying \(status\): the server answered 503$/m,
    /^\[fallom\] \d+ spans go again in \d+ ms, try \d+$/m,
    /^\[fallom\] \d+ failures in a row: no request for \d+ ms, then one at a time$/m,
    /^\[fallom\] the server answers again, after \d+ failures in a row$/m,
    /^\[fallom\] waitUntil was found in the platform's request: /m,
    /^\[fallom\] flush: \d+ delivered, 0 spooled, 0 dropped, 0 pending$/m,
    /^\[fallom\] the process exits: \d+ spans were to be sent, 0 are left after \d+ ms$/m,
  ])
    assert.match(ended.stderr, decision);
});
