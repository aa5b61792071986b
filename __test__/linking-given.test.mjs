// Prompts that the caller names, and those of a session. It runs real agents (support/mastra.mjs).

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fallom, { prompts, trace } from "@fallom/trace";
import { linkOf, NO_LINK, prompt, TONE } from "./support/catalog.mjs";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { line, Mastra, makeAgent, makeStore, makeTool, modelOf, z } from "./support/mastra.mjs";
import { startModel } from "./support/model.mjs";
import { runProgram } from "./support/program.mjs";
import { named } from "./support/spans.mjs";

const CATALOG = {
  prompts: [
    prompt("support", 1, "You help {{company}}."),
    prompt("support", 2, "You help {{company}}.", "A question of {{company}}'s customers"),
    prompt("polite", 1, "You are polite."),
    prompt("terse", 3, "You are terse."),
  ],
  prompt_ab_tests: [TONE],
};
const POLITE = ["polite", 1, undefined, undefined];
const TERSE = ["terse", 3, undefined, undefined];

/** Calls each tool that is on offer once, then answers. */
const reply = ({ tools, toolResults }) =>
  toolResults.length < tools.length
    ? { toolCalls: [{ name: tools[toolResults.length], args: { prompt: "Well?" } }] }
    : { text: "Well." };

let server;
let model;
let sessions = 0;

before(async () => {
  [server, model] = await Promise.all([startFallom(), startModel(reply)]);
  await server.setCatalog(CATALOG);
  await fallom.init(optionsFor(server, { batch: { maxDelayMs: 10 } }));
});
after(() => Promise.all([server.close(), model.close()]));

const newSession = () => fallom.session({ configKey: "app", sessionId: `s-${++sessions}` });
const agentOf = (options) => makeAgent({ model: modelOf(model), ...options });
const spansOf = (session, enough) => server.waitForSpans(enough, session.getContext());
const linksOf = async (session, enough) => (await spansOf(session, enough)).map(linkOf);

describe("a prompt that an agent is wrapped with", () => {
  test("is named by its calls, whatever their text is, and by no other wrapping of the same agent", async () => {
    const shared = agentOf();
    const [one, other, plain] = [newSession(), newSession(), newSession()];
    const [polite, terse] = [await prompts.get("polite"), await prompts.get("terse")];
    const wrapped = [
      one.wrapMastraAgent(shared, { prompt: polite }),
      other.wrapMastraAgent(shared, { prompt: terse }),
      plain.wrapMastraAgent(shared),
    ];
    const calls = wrapped.flatMap((agent) => [
      agent.generate(terse.system),
      agent.stream("hello").then((stream) => stream.consumeStream()),
    ]);
    await Promise.all(calls);
    assert.deepEqual(await linksOf(one, 2), [POLITE, POLITE]);
    assert.deepEqual(await linksOf(other, 2), [TERSE, TERSE]);
    const links = Object.fromEntries((await spansOf(plain, 2)).map((span) => [span.name, linkOf(span)]));
    assert.deepEqual(links, { "agent.SupportAgent.generate": TERSE, "agent.SupportAgent.stream": NO_LINK });
  });

  test("of an A/B test is named with its variant", async () => {
    const session = newSession();
    const variant = await session.promptAB("tone");
    await session.wrapMastraAgent(agentOf(), { prompt: variant }).generate("hello");
    assert.deepEqual(await linksOf(session, 1), [
      [variant.key, variant.version, "tone", variant.variantIndex],
    ]);
  });

  test("is that agent's alone, where it asks others", async () => {
    const session = newSession();
    const [polite, terse] = [await prompts.get("polite"), await prompts.get("terse")];
    const sub = (id, options) =>
      session.wrapMastraAgent(agentOf({ id, name: id, description: "Knows more" }), options);
    const agents = { one: sub("one"), other: sub("other", { prompt: terse }) };
    await session.wrapMastraAgent(agentOf({ agents }), { prompt: polite }).generate("hello");
    const spans = await spansOf(session, (spans) => spans.some(({ parent_span_id: parent }) => !parent));
    const link = (name) => linkOf(named(spans, `agent.${name}.generate`));
    assert.deepEqual([link("SupportAgent"), link("one"), link("other")], [POLITE, NO_LINK, TERSE]);
  });

  test("is named by what resumes a run, too", async () => {
    const cancel = makeTool({
      id: "cancel",
      description: "Cancels",
      inputSchema: z.object({}),
      requireApproval: true,
      execute: async () => ({ cancelled: true }),
    });
    const session = newSession();
    const support = agentOf({ tools: { cancel } });
    const mastra = new Mastra({ agents: { support }, storage: makeStore(), logger: false });
    const agent = mastra.getAgent("support");
    const traced = session.wrapMastraAgent(agent, { prompt: await prompts.get("terse") });
    const stream = await traced.stream("Cancel it");
    await stream.consumeStream();
    await spansOf(session, 1);
    const resumed = await session.wrapMastraAgent(agent).approveToolCall({ runId: stream.runId });
    await resumed.consumeStream();
    const agents = (spans) => spans.filter(({ kind }) => kind === "agent");
    const spans = await spansOf(session, (spans) => agents(spans).length === 2);
    assert.deepEqual(agents(spans).map(linkOf), [TERSE, TERSE]);
  });

  test("must be one", () => {
    const session = newSession();
    const wrap = (prompt) => () => session.wrapMastraAgent(agentOf(), { prompt });
    assert.throws(
      wrap("polite"),
      /^TypeError: wrapMastraAgent's option 'prompt' takes a prompt as prompts\.get/,
    );
    assert.throws(wrap(prompts.get("polite")), /this is a promise of one: await it first/);
    assert.throws(wrap({ key: "polite" }), TypeError);
    for (const none of [undefined, null]) wrap(none)();
  });
});

describe("session.withPrompt", () => {
  test("names the prompt for the calls inside, however late, and for none after it", async () => {
    const session = newSession();
    const [polite, terse] = [await prompts.get("polite"), await prompts.get("terse")];
    const traced = session.wrapMastraAgent(agentOf());
    const call = (agent = traced) => agent.generate("hello");
    const inside = (prompt) =>
      session.withPrompt(prompt, async () => {
        await sleep(Math.random() * 20);
        await call();
        return prompt.key;
      });
    assert.deepEqual(await Promise.all([inside(polite), inside(terse), inside(polite)]), [
      "polite",
      "terse",
      "polite",
    ]);
    assert.deepEqual((await linksOf(session, 3)).sort(), [POLITE, POLITE, TERSE]);

    await call();
    await session.withPrompt(polite, () => session.withPrompt(terse, () => call()));
    await session.withPrompt(polite, () => call(session.wrapMastraAgent(traced, { prompt: terse })));
    await session.withPrompt(polite, async () => {
      await call();
      await call();
    });
    const links = (await spansOf(session, 8))
      .toSorted((one, other) => one.start_time.localeCompare(other.start_time))
      .map(linkOf);
    assert.deepEqual(links.slice(3), [NO_LINK, TERSE, TERSE, POLITE, POLITE]);
  });

  test("is that session's alone", async () => {
    const [session, other] = [newSession(), newSession()];
    const agent = agentOf();
    await session.withPrompt(await prompts.get("polite"), () =>
      Promise.all([session, other].map((each) => each.wrapMastraAgent(agent).generate("hello"))),
    );
    assert.deepEqual(await linksOf(session, 1), [POLITE]);
    assert.deepEqual(await linksOf(other, 1), [NO_LINK]);
  });

  test("leaves sub-agents, and agents that tools ask, to their own texts", async () => {
    const session = newSession();
    const [polite, terse] = [await prompts.get("polite"), await prompts.get("terse")];
    const sub = (id, instructions) =>
      session.wrapMastraAgent(
        agentOf({ id, name: id, description: "Knows more", ...(instructions && { instructions }) }),
      );
    const [asked, given] = [sub("asked"), sub("given")];
    const ask = makeTool({
      id: "ask",
      description: "Asks",
      inputSchema: z.object({}),
      execute: async () => {
        await asked.generate("hello");
        await session.withPrompt(terse, () => given.generate("hello"));
        return "asked";
      },
    });
    const agents = { prompted: sub("prompted", terse.system), plain: sub("plain") };
    const traced = session.wrapMastraAgent(agentOf({ agents, tools: { ask } }));
    await session.withPrompt(polite, () => traced.generate("hello"));
    const spans = await spansOf(session, (spans) => spans.some(({ parent_span_id: parent }) => !parent));
    const links = ["SupportAgent", "prompted", "plain", "asked", "given"].map((name) =>
      linkOf(named(spans, `agent.${name}.generate`)),
    );
    assert.deepEqual(links, [POLITE, TERSE, NO_LINK, NO_LINK, TERSE]);
  });

  test("counts for spans of one's own that may use a prompt", async () => {
    const session = newSession();
    session.withPrompt(await prompts.get("polite"), () => {
      for (const kind of ["llm", "agent", "tool", "custom"]) session.span(kind, { kind }).end();
    });
    await trace.wrapTraced(session, "later", async () => {}, { kind: "llm" })();
    const links = Object.fromEntries((await spansOf(session, 5)).map((span) => [span.name, linkOf(span)]));
    assert.deepEqual(links, { llm: POLITE, agent: POLITE, tool: NO_LINK, custom: NO_LINK, later: NO_LINK });
  });

  test("names none for a fallback of the caller's own", async () => {
    const session = newSession();
    const { system } = await session.promptAB("tone");
    const fallback = { key: "polite", version: 0, system, user: "", variables: [], isFallback: true };
    const traced = session.wrapMastraAgent(agentOf({ instructions: system }));
    await session.withPrompt(fallback, () => traced.generate("hello"));
    assert.deepEqual(await linksOf(session, 1), [NO_LINK]);
  });

  test("gives what the function gives, throws what it throws, and says what it was given wrongly", async () => {
    const session = newSession();
    const polite = await prompts.get("polite");
    const failure = new Error("mine");
    assert.equal(
      session.withPrompt(polite, () => 7),
      7,
    );
    const fail = () => {
      throw failure;
    };
    assert.throws(
      () => session.withPrompt(polite, fail),
      (error) => error === failure,
    );
    await assert.rejects(
      session.withPrompt(polite, async () => fail()),
      (error) => error === failure,
    );
    assert.throws(() => session.withPrompt("polite", () => {}), /^TypeError: withPrompt takes a prompt/);
    assert.throws(() => session.withPrompt(polite), /^TypeError: withPrompt takes a function/);
  });
});

describe("session.prompt", () => {
  test("is prompts.get", async () => {
    const session = newSession();
    const options = { variables: { company: "Acme" }, version: 1 };
    const found = await session.prompt("support", options);
    assert.equal(found.system, "You help Acme.");
    assert.deepEqual(found, await prompts.get("support", options));
    assert.deepEqual(await session.prompt("terse"), await prompts.get("terse"));
    await assert.rejects(session.prompt("nope"), /^Error: Prompt 'nope' not found\./);
    await assert.rejects(session.prompt(), TypeError);
  });

  test("tells two versions with one text apart, which the text does not", async () => {
    const [one, other, neither] = [newSession(), newSession(), newSession()];
    const variables = { company: "Acme" };
    const { system } = await one.prompt("support", { variables, version: 1 });
    await other.prompt("support", { variables });
    await prompts.get("support", { variables });
    const agent = agentOf({ instructions: system });
    await Promise.all([one, other, neither].map((each) => each.wrapMastraAgent(agent).generate("hello")));
    assert.deepEqual(await linksOf(one, 1), [["support", 1, undefined, undefined]]);
    assert.deepEqual(await linksOf(other, 1), [["support", 2, undefined, undefined]]);
    assert.deepEqual(await linksOf(neither, 1), [NO_LINK]);
  });
});

test("session.promptAB is prompts.getAB for that session, and its traces name the variant", async () => {
  const session = newSession();
  const found = await session.promptAB("tone", { variables: {} });
  assert.deepEqual(found, await prompts.getAB("tone", session.getContext().sessionId));
  assert.equal(found.abTestKey, "tone");
  await assert.rejects(session.promptAB("nope"), /^Error: Prompt A\/B test 'nope' not found\./);
  await session.wrapMastraAgent(agentOf({ instructions: found.system })).generate("hello");
  assert.deepEqual(await linksOf(session, 1), [[found.key, found.version, "tone", found.variantIndex]]);
});

for (const captureContent of [true, false]) {
  test(`the first call of a process that fetches its prompt itself, captureContent: ${captureContent}`, async () => {
    const options = optionsFor(server, { captureContent });
    const args = { agents: new URL("support/mastra.mjs", import.meta.url).href, model, line };
    const body = async ({ fallom, prompts, options, args }) => {
      const { makeAgent, modelOf } = await import(args.agents);
      await fallom.init(options);
      const session = fallom.session({ configKey: "app", sessionId: `first-${options.captureContent}` });
      const instructions = async () => (await prompts.get("terse")).system;
      await session
        .wrapMastraAgent(makeAgent({ instructions, model: modelOf(args.model) }))
        .generate("hello");
      return 0;
    };
    resultOf(await runProgram(child(body, { options, args })));
    const [span] = await server.waitForSpans(1, { sessionId: `first-${captureContent}` });
    assert.deepEqual(linkOf(span), TERSE);
  });
}
