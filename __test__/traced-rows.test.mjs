// "What gets traced", row by row, however a run ends: a run that goes wrong is the one that somebody will look for.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { prompts } from "@fallom/trace";
import { line, Mastra, makeAgent, makeStore, makeTool, modelOf, once, z } from "./support/mastra.mjs";
import { startScene } from "./support/scene.mjs";
import { raw } from "./support/spans.mjs";

const USED = { input: 100, output: 10 };
const CALL = { toolCalls: [{ name: "look", args: { id: "1" } }], usage: USED };
const ANSWER = { text: "Found it.", usage: USED };
const HALF = "It is in";
const answered = "gpt-4o-mini-2024-07-18";

const looks = (execute, more) =>
  makeTool({ id: "look", description: "Looks", inputSchema: z.object({ id: z.string() }), execute, ...more });
/** Calls the tool, then goes on as `then` says. */
const calls = (then) => (call) => (call.toolResults.length ? then : CALL);

/** How a run may end, and what is known of it then. */
const ENDS = [
  { end: "an answer", reply: calls(ANSWER), status: "OK", model: answered, tokens: 200, tools: ["OK"] },
  {
    end: "a failure of the model",
    reply: () => ({ status: 500 }),
    status: "ERROR",
    model: "gpt-4o-mini",
    error: "The model failed with 500",
    tools: [],
  },
  {
    end: "a failure after a tool",
    reply: calls({ status: 500 }),
    status: "ERROR",
    model: answered,
    error: "The model failed with 500",
    tokens: 100,
    tools: ["OK"],
  },
  {
    end: "a tool that throws",
    reply: calls(ANSWER),
    execute: () => Promise.reject(new Error("lost")),
    status: "OK",
    model: answered,
    tokens: 200,
    tools: ["ERROR"],
  },
  { end: "an abort", abortIn: 0, status: "OK", finishReason: "aborted", model: "gpt-4o-mini", tools: [] },
  {
    end: "an abort after a tool",
    abortIn: 1,
    status: "OK",
    finishReason: "aborted",
    model: answered,
    tokens: 100,
    tools: ["OK"],
  },
  {
    end: "a wait for an approval",
    reply: calls(ANSWER),
    tool: { requireApproval: true },
    status: "OK",
    finishReason: "suspended",
    model: "gpt-4o-mini",
    tools: [],
  },
];

const run = {
  generate: (agent, options) => agent.generate("Where is it?", options).catch(() => {}),
  async stream(agent, options) {
    const stream = await agent.stream("Where is it?", options);
    try {
      for await (const chunk of stream.fullStream) void chunk;
    } catch {
      // As the case will have it.
    }
  },
};

let scene;
before(async () => {
  const prompt = { version: 3, system_prompt: "You look for {{what}}.", user_template: "" };
  const variants = [{ prompt_key: "tested", prompt_version: null, weight: 100 }];
  scene = await startScene({
    catalog: {
      prompts: [
        { ...prompt, key: "tested" },
        { ...prompt, key: "plain", version: 5, system_prompt: "You simply look for {{what}}." },
      ],
      prompt_ab_tests: [{ key: "a-test", version: 1, variants }],
    },
  });
});
after(() => scene.close());

for (const method of ["generate", "stream"]) {
  describe(`what gets traced of ${method}, with Mastra ${line}, when it ends with`, () => {
    for (const { end, reply, execute, abortIn, tool, ...known } of ENDS) {
      test(end, async () => {
        const { session, sessionId, spans } = scene.conversation();
        const { system } = await prompts.getAB("a-test", sessionId, { variables: { what: "orders" } });
        const controller = new AbortController();
        const aborting = (call) => {
          if (call.toolResults.length < abortIn) return CALL;
          setTimeout(() => controller.abort(), 10);
          return { hang: true, text: HALF };
        };
        scene.says(reply ?? aborting);
        const agent = makeAgent({
          instructions: system,
          model: modelOf(scene.model),
          tools: { look: looks(execute ?? (async ({ id }) => ({ found: id })), tool) },
        });
        const mastra = new Mastra({ agents: { support: agent }, storage: makeStore(), logger: false });
        const traced = session.wrapMastraAgent(mastra.getAgent("support"));
        const begun = Date.now();
        await run[method](traced, { ...once, abortSignal: controller.signal });

        const [span, ...tools] = await spans(1 + known.tools.length);
        assert.equal(span.name, `agent.SupportAgent.${method}`);
        // Session ID, User ID.
        assert.deepEqual(
          [span.config_key, span.session_id, span.customer_id],
          ["support-chat", sessionId, "user-456"],
        );
        // Prompt key, Prompt variant.
        assert.deepEqual([span.prompt_key, span.prompt_version], ["tested", 3]);
        assert.deepEqual([span.prompt_ab_test_key, span.prompt_variant_index], ["a-test", 0]);
        // Messages.
        assert.deepEqual(raw(span, "request"), [{ role: "user", content: "Where is it?" }]);
        const { text = "" } = raw(span, "response") ?? {};
        // Of a stream that was aborted, 1.x tells what came till then.
        if (known.finishReason === "aborted") assert.ok(HALF.startsWith(text), text);
        else assert.equal(text, known.tokens === 200 ? "Found it." : "");
        // Model, Tokens, Latency.
        assert.equal(span.model, known.model);
        assert.equal(raw(span, "usage")?.inputTokens, known.tokens);
        assert.ok(
          span.duration_ms > 0 && span.duration_ms <= Date.now() - begun + 1,
          `${span.duration_ms} ms`,
        );
        assert.equal(raw(span, "timings").totalDurationMs, span.duration_ms);
        // Tool calls, Tool results.
        assert.deepEqual(
          tools.map(({ name, status }) => [name, status]),
          known.tools.map((status) => ["tool.look", status]),
        );
        for (const told of tools) {
          assert.deepEqual(raw(told, "request"), { id: "1" });
          assert.deepEqual(raw(told, "response"), told.status === "OK" ? { found: "1" } : undefined);
        }
        // How it ended.
        assert.deepEqual([span.status, span.error_message], [known.status, known.error]);
        if (known.finishReason) assert.equal(raw(span, "metadata").finishReason, known.finishReason);
      });
    }

    test("an answer, to instructions from a prompt that is in no test", async () => {
      const { session, spans } = scene.conversation();
      const { system } = await prompts.get("plain", { variables: { what: "orders" } });
      for (const instructions of [system, () => system, { role: "system", content: system }]) {
        const agent = scene.agentThat(() => "Here.", { instructions });
        await run[method](session.wrapMastraAgent(agent), once);
      }
      const agent = scene.agentThat(() => "Here.", { instructions: "Something else." });
      await run[method](session.wrapMastraAgent(agent), { ...once, instructions: system });
      await run[method](session.wrapMastraAgent(agent), once);

      const keys = (await spans(5)).map(({ prompt_key, prompt_version }) => [prompt_key, prompt_version]);
      assert.deepEqual(keys, [...Array(4).fill(["plain", 5]), [undefined, undefined]]);
    });
  });
}
