// Which prompt a call used, as its span says: with content capture and without, for which a process is needed each.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fallom, { prompts } from "@fallom/trace";
import { linkOf, NO_LINK, prompt, TONE } from "./catalog.mjs";
import { optionsFor } from "./child.mjs";
import { startFallom } from "./fallom.mjs";
import { makeAgent, modelOf } from "./mastra.mjs";
import { echo, startModel } from "./model.mjs";

const CATALOG = {
  prompts: [
    prompt("support", 1, "Old help for {{company}}."),
    prompt("support", 2, "You help {{company}}."),
    prompt("polite", 1, "You are polite."),
    prompt("terse", 3, "You are terse."),
    prompt("greeting", 1, null, "Greet {{name}} warmly."),
    prompt("terms", 1, "You know the terms of {{company}} by heart."),
    prompt("terms", 2, "You know the terms of {{company}} by heart. You never promise anything."),
    prompt("question", 1, null, "{{question}}"),
  ],
  prompt_ab_tests: [TONE],
};

/** The tests of one process. */
export function testLinking({ captureContent }) {
  let server;
  let model;

  before(async () => {
    [server, model] = await Promise.all([startFallom(), startModel(echo)]);
    await server.setCatalog(CATALOG);
    await fallom.init(optionsFor(server, { captureContent, batch: { maxDelayMs: 10 } }));
  });
  after(() => Promise.all([server.close(), model.close()]));

  let sessions = 0;
  const newSession = () => fallom.session({ configKey: "app", sessionId: `s-${++sessions}` });

  async function spansOf(session, enough) {
    const spans = await server.waitForSpans(enough, session.getContext());
    for (const { attributes } of spans) assert.equal("fallom.raw.request" in attributes, captureContent);
    return spans;
  }

  describe("a call is linked to the prompt", () => {
    test("of an A/B test, by its session", async () => {
      const session = newSession();
      const { key, version, variantIndex } = await prompts.getAB("tone", session.getContext().sessionId);
      const agent = makeAgent({ instructions: "Something else.", model: modelOf(model) });
      await session.wrapMastraAgent(agent).generate("hello");
      const [span] = await spansOf(session, 1);
      assert.deepEqual(linkOf(span), [key, version, "tone", variantIndex]);
    });

    test("that is the agent's instructions, generated and streamed", async () => {
      const session = newSession();
      const { system } = await prompts.get("support", { variables: { company: `Acme` } });
      const traced = session.wrapMastraAgent(makeAgent({ instructions: system, model: modelOf(model) }));
      await traced.generate("hello");
      await (await traced.stream("hello")).text;
      for (const span of await spansOf(session, 2))
        assert.deepEqual(linkOf(span), ["support", 2, undefined, undefined], span.name);
    });

    test("that is a message, as a text or in parts", async () => {
      const session = newSession();
      const { user } = await prompts.get("greeting", { variables: { name: `Ada` } });
      const traced = session.wrapMastraAgent(makeAgent({ model: modelOf(model) }));
      await traced.generate(user);
      await traced.generate([{ role: "user", content: [{ type: "text", text: user }] }]);
      for (const span of await spansOf(session, 2))
        assert.deepEqual(linkOf(span), ["greeting", 1, undefined, undefined], span.name);
    });

    test("that a function of the user's gave as instructions, without calling it once more", async () => {
      const session = newSession();
      const { system } = await prompts.get("support", {
        version: 1,
        variables: { company: `Acme` },
      });
      let calls = 0;
      const instructions = async () => {
        calls++;
        return system;
      };
      const agent = makeAgent({ instructions, model: modelOf(model) });
      await agent.generate("hello");
      const untraced = calls;
      calls = 0;
      await session.wrapMastraAgent(agent).generate("hello");
      assert.equal(calls, untraced);
      assert.deepEqual(linkOf((await spansOf(session, 1))[0]), ["support", 1, undefined, undefined]);
    });

    test("that stands inside instructions or a message, and of several the longest", async () => {
      const session = newSession();
      const variables = { company: "Acme" };
      const [{ system: short }, { system: long }] = await Promise.all([
        prompts.get("terms", { variables, version: 1 }),
        prompts.get("terms", { variables }),
      ]);
      assert.ok(long.startsWith(short));
      const around = (text) => `Today is Monday.\n\n${text}\n\nThe customer is Ada.`;
      const inside = (text) =>
        session.wrapMastraAgent(makeAgent({ instructions: around(text), model: modelOf(model) }));
      await inside(short).generate("hello");
      assert.deepEqual((await spansOf(session, 1)).map(linkOf), [["terms", 1, undefined, undefined]]);
      const other = newSession();
      const plain = other.wrapMastraAgent(makeAgent({ model: modelOf(model) }));
      await other
        .wrapMastraAgent(makeAgent({ instructions: around(long), model: modelOf(model) }))
        .generate(short);
      await plain.generate([{ role: "user", content: around(long) }]);
      for (const span of await spansOf(other, 2))
        assert.deepEqual(linkOf(span), ["terms", 2, undefined, undefined]);
    });

    test("and not to one that consists of what customers write", async () => {
      const [one, other] = [newSession(), newSession()];
      const question = "Where is my parcel, and when will it come at last?";
      const { user } = await prompts.get("question", { variables: { question } });
      assert.equal(user, question);
      await other.wrapMastraAgent(makeAgent({ model: modelOf(model) })).generate(question);
      assert.deepEqual((await spansOf(other, 1)).map(linkOf), [NO_LINK]);
      // Who uses it, names it.
      await one
        .wrapMastraAgent(makeAgent({ model: modelOf(model) }), { prompt: await prompts.get("question") })
        .generate(user);
      assert.deepEqual((await spansOf(one, 1)).map(linkOf), [["question", 1, undefined, undefined]]);
    });

    test("and not one that merely was asked for", async () => {
      const session = newSession();
      await prompts.get("polite");
      await session.wrapMastraAgent(makeAgent({ model: modelOf(model) })).generate("hello");
      assert.deepEqual(linkOf((await spansOf(session, 1))[0]), NO_LINK);
    });

    test("and after a call that failed, none for the next", async () => {
      const failing = await startModel(() => ({ status: 400 }));
      const [session, next] = [newSession(), newSession()];
      const { system } = await prompts.get("support", { variables: { company: `Failing` } });
      const agent = makeAgent({ instructions: system, model: modelOf(failing) });
      await assert.rejects(session.wrapMastraAgent(agent).generate("hello"));
      await next.wrapMastraAgent(makeAgent({ model: modelOf(model) })).generate("hello");
      assert.deepEqual(linkOf((await spansOf(session, 1))[0]), ["support", 2, undefined, undefined]);
      assert.deepEqual(linkOf((await spansOf(next, 1))[0]), NO_LINK);
      await failing.close();
    });

    test("among many at once, each its own", async () => {
      const calls = Array.from({ length: 20 }, (_, i) => ({
        session: newSession(),
        key: i % 2 ? "polite" : "terse",
      }));
      await Promise.all(
        calls.map(async ({ session, key }) => {
          await sleep(Math.random() * 20);
          const { system } = await prompts.get(key);
          const agent = makeAgent({ instructions: system, model: modelOf(model) });
          await sleep(Math.random() * 20);
          await session.wrapMastraAgent(agent).generate("hello");
        }),
      );
      for (const { session, key } of calls) {
        const [span] = await spansOf(session, 1);
        assert.deepEqual(linkOf(span), [key, key === "polite" ? 1 : 3, undefined, undefined]);
      }
    });
  });
}
