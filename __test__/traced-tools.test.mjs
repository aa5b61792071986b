// Tools and sub-agents in a trace: what ran, with what, for how long, below what.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { prompts } from "@fallom/trace";
import {
  createStep,
  createWorkflow,
  line,
  makeAgent,
  makeTool,
  modelOf,
  once,
  z,
} from "./support/mastra.mjs";
import { deferred, read, startScene } from "./support/scene.mjs";
import { named, parentOf, raw, shape } from "./support/spans.mjs";

/** A tool of one text argument. */
function tool(id, execute) {
  const inputSchema = z.object({ id: z.string() });
  return makeTool({ id, description: `Does ${id}`, inputSchema, execute });
}

/** Calls these tools in its first turn, and answers in the second. */
function calling(...toolCalls) {
  return (call) => (call.toolResults.length ? "Done." : { toolCalls });
}

const run = {
  generate: async (agent, input, options) => (await agent.generate(input, options)).text,
  stream: async (agent, input, options) => {
    const stream = await agent.stream(input, options);
    await read(stream.fullStream);
    return stream.text;
  },
};

let scene;
before(async () => {
  const prompt = { key: "support", version: 2, system_prompt: "You help, kindly.", user_template: "" };
  scene = await startScene({ catalog: { prompts: [prompt] } });
});
after(() => scene.close());

for (const method of ["generate", "stream"]) {
  const AGENT = `agent.SupportAgent.${method}`;

  describe(`tools of ${method}, with Mastra ${line}`, () => {
    test("side by side: each has its own arguments, result and duration", async () => {
      const quickIsDone = deferred();
      const { traced, spans } = scene.traced(
        calling(
          { id: `quick-${method}`, name: "quick", args: { id: "q" } },
          { id: `slow-${method}`, name: "slow", args: { id: "s" } },
        ),
        {
          tools: {
            quick: tool("quick", async ({ id }) => {
              await sleep(30);
              quickIsDone.resolve();
              return { id, is: "quick" };
            }),
            slow: tool("slow", async ({ id }) => {
              await quickIsDone.promise;
              await sleep(50);
              return { id, is: "slow" };
            }),
          },
        },
      );
      assert.equal(await run[method](traced, "Go"), "Done.");

      const sent = await spans(3);
      assert.deepEqual(shape(sent), [`${AGENT} < -`, `tool.quick < ${AGENT}`, `tool.slow < ${AGENT}`]);
      const [quick, slow] = ["tool.quick", "tool.slow"].map((name) => named(sent, name));
      assert.deepEqual(
        [raw(quick, "request"), raw(quick, "response")],
        [{ id: "q" }, { id: "q", is: "quick" }],
      );
      assert.deepEqual([raw(slow, "request"), raw(slow, "response")], [{ id: "s" }, { id: "s", is: "slow" }]);
      assert.ok(quick.duration_ms >= 28, `quick: ${quick.duration_ms} ms`);
      const later = Date.parse(slow.end_time) - Date.parse(quick.end_time);
      assert.ok(later >= 48, `slow ended ${later} ms later`);
      assert.deepEqual(
        [quick, slow].map(({ attributes }) => attributes["fallom.tool_call_id"]),
        [`quick-${method}`, `slow-${method}`],
      );
      for (const { attributes } of [quick, slow]) {
        assert.equal(attributes["fallom.timing"], undefined);
        assert.equal(attributes["fallom.raw.usage"], undefined);
      }
    });

    test("one tool called twice at once: two spans", async () => {
      const { traced, spans } = scene.traced(
        calling({ name: "look", args: { id: "1" } }, { name: "look", args: { id: "2" } }),
        { tools: { look: tool("look", async ({ id }) => `found ${id}`) } },
      );
      await run[method](traced, "Go");

      const tools = (await spans(3)).filter(({ kind }) => kind === "tool");
      assert.deepEqual(tools.map((span) => [raw(span, "request").id, raw(span, "response")]).sort(), [
        ["1", "found 1"],
        ["2", "found 2"],
      ]);
    });

    test("one that throws fails its own span, and not the agent's", async () => {
      const cause = new Error("the database is away");
      const failing = () => Promise.reject(new RangeError("no such order", { cause }));
      const { traced, spans } = scene.traced(calling({ name: "look", args: { id: "1" } }), {
        tools: { look: tool("look", failing) },
      });
      assert.equal(await run[method](traced, "Go"), "Done.");

      const sent = await spans(2);
      const look = named(sent, "tool.look");
      assert.deepEqual([look.status, look.error_message], ["ERROR", "no such order"]);
      assert.deepEqual(raw(look, "request"), { id: "1" });
      assert.equal(raw(look, "response"), undefined);
      const agent = named(sent, AGENT);
      assert.deepEqual([agent.status, raw(agent, "response").text], ["OK", "Done."]);
      assert.equal(agent.error_message, undefined);
    });

    test("one that is not async, and one that returns nothing", async () => {
      const { traced, spans } = scene.traced(
        calling({ name: "plain", args: { id: "1" } }, { name: "silent", args: { id: "2" } }),
        { tools: { plain: tool("plain", ({ id }) => ({ id })), silent: tool("silent", () => undefined) } },
      );
      await run[method](traced, "Go");

      const sent = await spans(3);
      assert.deepEqual(raw(named(sent, "tool.plain"), "response"), { id: "1" });
      const silent = named(sent, "tool.silent");
      assert.deepEqual([silent.status, raw(silent, "response")], ["OK", undefined]);
    });

    test("what runs inside a tool is below it", async () => {
      const { session, spans } = scene.conversation();
      const look = tool("look", async ({ id }) => {
        const span = session.span("database");
        await sleep(5);
        span.end();
        return id;
      });
      const agent = scene.agentThat(
        calling({ name: "look", args: { id: "1" } }, { name: "other", args: { id: "2" } }),
        { tools: { look, other: tool("other", () => sleep(20, "other")) } },
      );
      await run[method](session.wrapMastraAgent(agent), "Go");

      const sent = await spans(4);
      assert.equal(parentOf(sent, named(sent, "database")), "tool.look");
      assert.equal(parentOf(sent, named(sent, "tool.other")), AGENT);
    });

    test("what is called after the agent is no child of it, nor of its tools", async () => {
      const { traced, session, spans } = scene.traced(calling({ name: "look", args: { id: "1" } }), {
        tools: { look: tool("look", ({ id }) => id) },
      });
      await run[method](traced, "Go");
      await spans(2);
      session.span("later").end();

      const later = named(await spans(3), "later");
      assert.equal(later.parent_span_id, undefined);
    });

    test("tools given with the call count, too", async () => {
      const { traced, spans } = scene.traced(calling({ name: "extra", args: { id: "1" } }));
      const toolsets = { more: { extra: tool("extra", ({ id }) => ({ id })) } };
      assert.equal(await run[method](traced, "Go", { ...once, toolsets }), "Done.");

      assert.deepEqual(raw(named(await spans(2), "tool.extra"), "response"), { id: "1" });
    });

    test("tools that a function gives count, too; they and the agent stay as they were", async () => {
      const look = tool("look", ({ id }) => ({ id }));
      const { execute } = look;
      const { traced, spans } = scene.traced(calling({ name: "look", args: { id: "1" } }), {
        tools: async () => ({ look }),
      });
      await run[method](traced, "Go");

      assert.deepEqual(raw(named(await spans(2), "tool.look"), "response"), { id: "1" });
      assert.equal(look.execute, execute);
    });

    test("a workflow that runs as a tool; 0.24 lets nobody time it, and the span says so", async () => {
      const schema = z.object({ id: z.string() });
      const step = createStep({
        id: "step",
        inputSchema: schema,
        outputSchema: schema,
        execute: async ({ inputData }) => ({ id: `${inputData.id} done` }),
      });
      const workflow = createWorkflow({
        id: "flow",
        description: "Flows",
        inputSchema: schema,
        outputSchema: schema,
      });
      const { traced, spans } = scene.traced(
        calling({ name: "workflow-flow", args: line === "1" ? { inputData: { id: "1" } } : { id: "1" } }),
        { workflows: { flow: workflow.then(step).commit() } },
      );
      assert.equal(await run[method](traced, "Go"), "Done.");

      const sent = await spans(2);
      const flow = named(sent, "tool.workflow-flow");
      assert.equal(parentOf(sent, flow), AGENT);
      const { result } = raw(flow, "response");
      assert.deepEqual(line === "1" ? result : result.result, { id: "1 done" });
      assert.equal(flow.attributes["fallom.timing"], line === "1" ? undefined : "approximate");
    });

    test("of many runs at once: each is below its own", async () => {
      const { traced, spans } = scene.traced(
        (call) => {
          const [, id] = /(\d+)/.exec(call.lastUser);
          if (call.toolResults.length) return { text: `Done ${id}.`, delayMs: Number(id) % 7 };
          return { toolCalls: [{ name: "look", args: { id } }], delayMs: Number(id) % 5 };
        },
        { tools: { look: tool("look", ({ id }) => sleep(Number(id) % 3, { id })) } },
      );
      const ids = Array.from({ length: 12 }, (_, i) => String(i + 1));
      const texts = await Promise.all(ids.map((id) => run[method](traced, `Look for ${id}`)));
      assert.deepEqual(
        texts,
        ids.map((id) => `Done ${id}.`),
      );

      const sent = await spans(24);
      for (const look of sent.filter(({ kind }) => kind === "tool")) {
        const agent = sent.find((span) => span.span_id === look.parent_span_id);
        assert.equal(agent.trace_id, look.trace_id);
        assert.equal(raw(agent, "request")[0].content, `Look for ${raw(look, "request").id}`);
        assert.equal(raw(agent, "response").toolResults[0].result.id, raw(look, "response").id);
      }
      assert.equal(new Set(sent.map((span) => span.trace_id)).size, 12);
    });
  });

  describe(`a sub-agent of ${method}, with Mastra ${line}`, () => {
    const ASK = { name: "agent-billing", args: { prompt: "May we refund?" } };

    /** A support agent that asks a billing agent, which has a tool of its own; `wrap` is for the latter. */
    function askingBilling(session, wrap) {
      scene.says((call) => {
        if (call.system.startsWith("You know billing.")) {
          if (call.toolResults.length) return { text: "You may.", usage: { input: 200, output: 2 } };
          return { toolCalls: [{ name: "policy", args: { id: "p" } }], usage: { input: 100, output: 1 } };
        }
        if (call.toolResults.length) return { text: "Yes.", usage: { input: 40, output: 4 } };
        return { toolCalls: [ASK], usage: { input: 20, output: 2 } };
      });
      const model = modelOf(scene.model);
      const billing = makeAgent({
        id: "billing",
        name: "Billing",
        description: "Knows billing",
        instructions: "You know billing.",
        model,
        tools: { policy: tool("policy", () => sleep(5, "refunds are fine")) },
      });
      const agent = makeAgent({
        model,
        agents: { billing: wrap ? session.wrapMastraAgent(billing) : billing },
      });
      return session.wrapMastraAgent(agent);
    }
    const tokens = (span) => [raw(span, "usage").inputTokens, raw(span, "usage").outputTokens];

    test("wrapped: its span is under the tool call that ran it, and each token counts once", async () => {
      const { session, spans } = scene.conversation();
      assert.equal(await run[method](askingBilling(session, true), "Refund me"), "Yes.");

      const sent = await spans(4);
      // Mastra itself decides how a sub-agent is run: as its caller was.
      const billing = sent.find(({ name }) => name.startsWith("agent.Billing."));
      assert.deepEqual(shape(sent), [
        `${billing.name} < tool.agent-billing`,
        `${AGENT} < -`,
        `tool.agent-billing < ${AGENT}`,
        `tool.policy < ${billing.name}`,
      ]);
      assert.deepEqual(tokens(named(sent, AGENT)), [60, 6]);
      assert.deepEqual(tokens(billing), [300, 3]);
      assert.equal(raw(billing, "response").text, "You may.");
      const asTool = named(sent, "tool.agent-billing");
      assert.equal(raw(asTool, "request").prompt, "May we refund?");
      assert.equal(raw(asTool, "response").text, "You may.");
      assert.equal(raw(asTool, "usage"), undefined);
      assertInside(billing, asTool);
    });

    test("not wrapped: it is seen as the tool that it is, with its text", async () => {
      const { session, spans } = scene.conversation();
      assert.equal(await run[method](askingBilling(session, false), "Refund me"), "Yes.");

      const sent = await spans(2);
      const asTool = named(sent, "tool.agent-billing");
      assert.equal(parentOf(sent, asTool), AGENT);
      assert.equal(raw(asTool, "request").prompt, "May we refund?");
      assert.equal(raw(asTool, "response").text, "You may.");
      assert.deepEqual(tokens(named(sent, AGENT)), [60, 6]);
    });

    test("two that are asked the same at once: each is under its own tool call", async () => {
      const { session, spans } = scene.conversation();
      const prompt = "What of order 1?";
      scene.says((call) => {
        const [, expert] = /^You know (\w+)/.exec(call.system) ?? [];
        if (expert) return { text: `As for ${expert}: fine.`, delayMs: expert === "billing" ? 30 : 5 };
        if (call.toolResults.length) return "Fine.";
        return {
          toolCalls: ["billing", "shipping"].map((key) => ({ name: `agent-${key}`, args: { prompt } })),
        };
      });
      const model = modelOf(scene.model);
      const experts = ["shipping", "billing"].map((key) => [
        key,
        session.wrapMastraAgent(
          makeAgent({
            id: `${key}-id`,
            name: `The ${key}`,
            description: key,
            instructions: `You know ${key}.`,
            model,
          }),
        ),
      ]);
      const agent = makeAgent({ model, agents: Object.fromEntries(experts) });
      await run[method](session.wrapMastraAgent(agent), "What of my order?");

      const sent = await spans(5);
      for (const key of ["billing", "shipping"]) {
        const expert = sent.find(({ name }) => name.startsWith(`agent.The ${key}.`));
        assert.equal(parentOf(sent, expert), `tool.agent-${key}`);
        const asTool = named(sent, `tool.agent-${key}`);
        assert.equal(raw(asTool, "response").text, `As for ${key}: fine.`);
        assertInside(expert, asTool);
      }
    });

    test("is not said to use its caller's prompt", async () => {
      const { session, spans } = scene.conversation();
      const { system } = await prompts.get("support");
      scene.says((call) => {
        if (call.system.startsWith("You know billing.")) return "You may.";
        return call.toolResults.length ? "Yes." : { toolCalls: [ASK] };
      });
      const model = modelOf(scene.model);
      const billing = makeAgent({
        name: "Billing",
        description: "b",
        instructions: "You know billing.",
        model,
      });
      const agents = { billing: session.wrapMastraAgent(billing) };
      await run[method](
        session.wrapMastraAgent(makeAgent({ instructions: system, model, agents })),
        "Refund me",
      );

      const sent = await spans(3);
      assert.equal(named(sent, AGENT).prompt_key, "support");
      const other = sent.filter(({ name }) => name !== AGENT);
      assert.deepEqual(
        other.map(({ prompt_key }) => prompt_key),
        [undefined, undefined],
      );
    });
  });
}

function assertInside(span, outer) {
  assert.ok(
    span.start_time >= outer.start_time && span.end_time <= outer.end_time,
    `${span.name} lies inside`,
  );
}
