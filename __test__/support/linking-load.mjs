// Many requests at once, each of which uses prompts in a way of its own; what its traces must say, it knows itself. It
// runs in a process of its own: the test runner's would take longer to watch the calls than they take.

import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import fallom, { prompts } from "@fallom/trace";
import { makeAgent, modelOf, once } from "./mastra.mjs";

/** What the model fails at. */
export const FAIL = "so that it fails";
/** The link of a call that used no prompt. */
export const NONE = "none";

/** A prompt as a link to it is written here. */
const named = ({ key, version, abTestKey, variantIndex }) =>
  `${key}@${version} ${abTestKey ?? "-"}/${variantIndex ?? "-"}`;

/** Mulberry32: the same requests each time. */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A `fetch` that sends so many requests at once; the others wait. A thousand connections are no part of this test. */
function fewAtOnce(most) {
  let free = most;
  const waiting = [];
  return async (...args) => {
    if (free > 0) free--;
    else await new Promise((turn) => waiting.push(turn));
    try {
      return await fetch(...args);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

/**
 * The ways to use a prompt. Each makes one call, for a request, and says what its agents' spans must name, by the
 * agents' names. `hello` is a message, which the model may fail at.
 */
function waysOf({ agent: own, shared, texts }) {
  const company = (request) => ({ variables: { company: `Company ${request.i}` } });
  const AGENT = "SupportAgent";
  const call = (request, agent, message = request.hello, options = {}) => {
    const traced = request.session.wrapMastraAgent(agent, options.wrap);
    return request.generate(traced, message, options.call);
  };

  return {
    "an agent built at the start": async (request) => {
      const { agent, used } = shared[request.i % shared.length];
      await call(request, agent);
      return { [AGENT]: named(used) };
    },
    "an agent built for the request": async (request) => {
      const used = await prompts.get("support", { ...company(request), version: 1 + (request.i % 2) });
      await request.pause();
      await call(request, own(used.system));
      return { [AGENT]: named(used) };
    },
    "a text around the prompt's": async (request) => {
      const used = await request.session.prompt("support", company(request));
      await request.pause();
      await call(request, own(`Today is Monday.\n${used.system}\nThe customer is number ${request.i}.`));
      return { [AGENT]: named(used) };
    },
    "a function that gives the instructions": async (request) => {
      const used = await prompts.get("billing", company(request));
      await texts.run(used.system, () => call(request, shared.asking));
      return { [AGENT]: named(used) };
    },
    "instructions of the call": async (request) => {
      const used = await prompts.get("billing", company(request));
      await call(request, shared.plain, request.hello, { call: { instructions: used.system } });
      return { [AGENT]: named(used) };
    },
    "a message": async (request) => {
      const used = await prompts.get("greeting", { variables: { name: `${request.hello}` } });
      await request.pause();
      await call(request, shared.plain, [{ role: "user", content: used.user }]);
      return { [AGENT]: named(used) };
    },
    "a variant of an A/B test": async (request) => {
      const used = await request.session.promptAB("manner", company(request));
      await request.pause();
      await call(request, own(used.system));
      return { [AGENT]: named(used) };
    },
    "the session's one A/B test, and a text of its own": async (request) => {
      const used = await prompts.getAB("length", request.session.getContext().sessionId);
      await call(request, own(`Instead of ${used.key}.`));
      return { [AGENT]: named(used) };
    },
    "a prompt that it was wrapped with": async (request) => {
      const used = await prompts.get("terse");
      await request.session.promptAB("manner", company(request));
      await call(request, shared[0].agent, request.hello, { wrap: { prompt: used } });
      return { [AGENT]: named(used) };
    },
    "a prompt around the call": async (request) => {
      const used = await request.session.promptAB("length");
      await request.session.withPrompt(used, async () => {
        await request.pause();
        await call(request, shared.plain);
      });
      return { [AGENT]: named(used) };
    },
    "a sub-agent with a prompt of its own": async (request) => {
      const [used, its] = await Promise.all([
        prompts.get("support", company(request)),
        prompts.get("billing", company(request)),
      ]);
      const instructions = request.i % 2 ? its.system : () => its.system;
      const billing = own(instructions, { id: "billing", name: "Billing", description: "Knows the terms" });
      const agents = { billing: request.session.wrapMastraAgent(billing) };
      await call(request, own(used.system, { agents }));
      return { [AGENT]: named(used), ...(!request.fails && { Billing: named(its) }) };
    },
    "a sub-agent without one": async (request) => {
      const used = await request.session.promptAB("manner", company(request));
      const billing = shared.billing[request.i % 2];
      const agents = { billing: request.session.wrapMastraAgent(billing) };
      await call(request, own(used.system, { agents }));
      return { [AGENT]: named(used), ...(!request.fails && { Billing: NONE }) };
    },
    "none, of those that it fetched": async (request) => {
      await Promise.all([prompts.get("terse"), request.session.prompt("support", company(request))]);
      await call(request, shared.plain);
      return { [AGENT]: NONE };
    },
    "none, in two A/B tests": async (request) => {
      await Promise.all([
        request.session.promptAB("manner", company(request)),
        request.session.promptAB("length"),
      ]);
      await call(request, own(`You are number ${request.i}.`));
      return { [AGENT]: NONE };
    },
    "none at all": async (request) => {
      await call(request, shared.plain);
      return { [AGENT]: NONE };
    },
  };
}

/**
 * Makes the requests, and waits for their ends.
 * @param {{ model: { baseURL: string }, options: object, requests: number }} load `options` of `init`
 * @returns {Promise<Record<string, { link: string, way: string }>>} what the span of an agent must name, by the
 *   session's id and the agent's name
 */
export async function runLoad({ model, options, requests }) {
  const random = randomOf(20260101);
  const fetch = fewAtOnce(64);
  const texts = new AsyncLocalStorage();
  const agent = (instructions, more) =>
    makeAgent({ instructions, model: modelOf(model, { fetch }), ...more });

  await fallom.init(options);
  const ways = waysOf({ agent, shared: await sharedAgents(agent, texts), texts });
  const names = Object.keys(ways);
  const all = Array.from({ length: requests }, (_, i) => requestOf(i, names[i % names.length], random));
  const expected = {};
  await Promise.all(
    all.map(async (request) => {
      await sleep(random() * 1000);
      for (const [name, link] of Object.entries(await ways[request.way](request)))
        expected[`${request.session.getContext().sessionId} ${name}`] = { link, way: request.way };
    }),
  );
  return expected;
}

async function sharedAgents(agent, texts) {
  const atStart = await Promise.all([
    prompts.get("support", { variables: { company: "All" } }),
    prompts.get("terse"),
  ]);
  return Object.assign(
    atStart.map((used) => ({ used, agent: agent(used.system) })),
    {
      plain: agent("You do as you like."),
      asking: agent(() => texts.getStore()),
      billing: ["You know our terms.", () => "You know our terms."].map((instructions) =>
        agent(instructions, { id: "billing", name: "Billing", description: "Knows the terms" }),
      ),
    },
  );
}

function requestOf(i, way, random) {
  const session = fallom.session({
    configKey: "app",
    sessionId: `request-${i}`,
    customerId: `customer-${i}`,
  });
  const fails = random() < 0.1;
  const streams = random() < 0.3;
  const pause = () => sleep(random() * 50);
  const call = async (agent, message, options) => {
    await pause();
    if (!streams) return agent.generate(message, { ...once, ...options });
    return (await agent.stream(message, { ...once, ...options })).consumeStream();
  };
  // What its traces must name is known even if it fails.
  const generate = (...args) =>
    call(...args).catch((error) => {
      if (!fails) throw error;
    });
  return { i, way, session, fails, pause, generate, hello: `number ${i}${fails ? `, ${FAIL}` : ""}` };
}
