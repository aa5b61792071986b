// A user's own callbacks and tool hooks: tracing uses the same ones, and nobody must notice.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { defaultsOf, line, makeTool, once, z } from "./support/mastra.mjs";
import { startScene } from "./support/scene.mjs";
import { named, raw } from "./support/spans.mjs";

/** A stream that has not ended then never will: the model answers at once. */
const HANGS_MS = 300;
const CALLBACKS = ["onStepFinish", "onFinish", "onChunk", "onError", "onAbort", "prepareStep"];

/** Runs the agent to its end; tells how that was. */
const run = {
  generate: (agent, options) =>
    agent
      .generate("Where is it?", options)
      .then(({ text, finishReason }) => ({ text, finishReason }))
      .catch(toldError),

  async stream(agent, options) {
    const stream = await agent.stream("Where is it?", options);
    const types = [];
    const ended = reading(stream.fullStream, types);
    const told = await Promise.all([unlessItHangs(ended), unlessItHangs(stream.text)]);
    // `onFinish` comes a little after the text.
    await turn();
    return { types, ended: told[0], text: told[1] };
  },
};

async function reading(stream, types) {
  for await (const { type } of stream) types.push(type);
  return "ended";
}

/** A callback that throws leaves some streams of Mastra's without an end. */
function unlessItHangs(promise) {
  return Promise.race([promise.catch(toldError), sleep(HANGS_MS, "hangs", { ref: false })]);
}

const toldError = ({ name, message }) => ({ name, message });

let scene;
before(async () => {
  scene = await startScene();
});
after(() => scene.close());

const getOrderStatus = (execute = async ({ orderId }) => ({ orderId, status: "shipped" })) =>
  makeTool({
    id: "get_order_status",
    description: "Get the status of a customer order",
    inputSchema: z.object({ orderId: z.string() }),
    execute,
  });

/** Calls the tool, then tells what it said. */
const tellsStatus = (call) =>
  call.toolResults.length
    ? { text: call.toolResults[0].text }
    : { toolCalls: [{ id: "call_1", name: "get_order_status", args: { orderId: "12345" } }] };

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");

/** The same run, untraced and traced: both must be equal in all that the user sees. */
async function bothWays(
  method,
  { reply = tellsStatus, execute, options = () => ({}), agentOptions = () => ({}) },
) {
  const seen = [];
  for (const isTraced of [false, true]) {
    const log = [];
    const tools = { get_order_status: getOrderStatus(execute) };
    const { agent, traced, spans } = scene.traced(reply, { tools, ...agentOptions(log) });
    const outcome = await run[method](isTraced ? traced : agent, { ...once, ...options(log) });
    seen.push({ log, outcome, requests: scene.model.requests.length, spans });
  }
  const [untraced, traced] = seen.map(({ spans, ...told }) => told);
  assert.deepEqual(traced, untraced);
  return { ...traced, spans: seen[1].spans };
}

/** Callbacks that note that they were called, and with what; each gives what `give` says. */
function noting(log, label, give = () => undefined) {
  const noted = CALLBACKS.map((name) => [
    name,
    (argument, ...rest) => {
      const { type, finishReason, text, payload } = argument;
      log.push([
        label,
        name,
        Object.keys(argument).sort().join(),
        type,
        finishReason,
        text,
        payload?.text,
        rest.length,
      ]);
      return give(name);
    },
  ]);
  return Object.fromEntries(noted);
}
const calledIn = (log) => new Set(log.map(([label, name]) => `${label} ${name}`));

for (const method of ["generate", "stream"]) {
  describe(`a user's callbacks on ${method}, with Mastra ${line}`, () => {
    test("given with the call: all are called, in the same order, with the same", async () => {
      const { log } = await bothWays(method, { options: (log) => noting(log, "call") });
      for (const name of ["onStepFinish", "onFinish", "onChunk", "prepareStep"])
        assert.ok(calledIn(log).has(`call ${name}`), name);
    });

    test("defaults of the agent: all are called", async () => {
      const { log, spans } = await bothWays(method, {
        agentOptions: (log) => defaultsOf({ ...once, ...noting(log, "default") }),
      });
      for (const name of ["onStepFinish", "onFinish", "onChunk"])
        assert.ok(calledIn(log).has(`default ${name}`), name);
      await spans(2);
    });

    test("one given with the call takes the default's place, the others stay", async () => {
      const { log } = await bothWays(method, {
        options: (log) => ({ onFinish: () => void log.push(["call", "onFinish"]) }),
        agentOptions: (log) => defaultsOf({ ...once, ...noting(log, "default") }),
      });
      const called = calledIn(log);
      assert.ok(
        called.has("call onFinish") && !called.has("default onFinish") && called.has("default onStepFinish"),
      );
    });

    test("on failure: the same, with the same error", async () => {
      const { spans } = await bothWays(method, {
        reply: () => ({ status: 503 }),
        options: (log) => noting(log, "call"),
      });
      assert.equal((await spans(1))[0].status, "ERROR");
    });

    test("a promise that one returns is waited for, as far as it is untraced", async () => {
      const { spans } = await bothWays(method, {
        options: (log) => ({
          onStepFinish: async () => {
            log.push("step begins");
            await turn();
            log.push("step ends");
          },
          prepareStep: () => void log.push("next"),
        }),
      });
      await spans(2);
    });

    test("what prepareStep returns counts", async () => {
      const { outcome } = await bothWays(method, {
        reply: (call) => `${call.tools.length} tools`,
        options: () => ({ prepareStep: () => ({ activeTools: [] }) }),
      });
      assert.equal(outcome.text, "0 tools");
    });

    for (const name of ["onChunk", "onStepFinish", "onFinish", "prepareStep"]) {
      for (const [how, fail] of [
        ["throws", () => assert.fail(`${name} of the user's`)],
        ["rejects", () => Promise.reject(new Error(`${name} of the user's`))],
      ]) {
        test(`${name} that ${how} does what it does untraced, and the span ends`, async () => {
          const { spans, outcome } = await bothWays(method, {
            reply: () => "Hello!",
            options: () => ({ [name]: fail }),
          });
          // What Mastra never ends, ends with its last reference.
          const collecting = outcome.text === "hangs" && setInterval(gc, 10);
          const [span] = await spans(1);
          clearInterval(collecting);
          if (collecting) assert.equal(span.attributes["fallom.incomplete"], "expired");
        });
      }
    }
  });

  if (line === "1") {
    describe(`a user's tool hooks on ${method}, with Mastra ${line}`, () => {
      const hooks = (log, label) => ({
        beforeToolCall: ({ toolName, input }) => void log.push([label, "before", toolName, input]),
        afterToolCall: ({ toolName, output, error }) =>
          void log.push([label, "after", toolName, output, error?.message]),
      });

      for (const [where, given] of [
        ["of the agent", { agentOptions: (log) => ({ hooks: hooks(log, "agent") }) }],
        ["of its default options", { agentOptions: (log) => defaultsOf({ hooks: hooks(log, "default") }) }],
        ["of the call", { options: (log) => ({ hooks: hooks(log, "call") }) }],
        [
          "of the agent and of the call, field by field",
          {
            agentOptions: (log) => ({ hooks: hooks(log, "agent") }),
            options: (log) => ({ hooks: { beforeToolCall: hooks(log, "call").beforeToolCall } }),
          },
        ],
        [
          "of the agent and of its default options",
          {
            agentOptions: (log) => ({
              hooks: hooks(log, "agent"),
              ...defaultsOf({ hooks: { beforeToolCall: hooks(log, "default").beforeToolCall } }),
            }),
          },
        ],
      ]) {
        test(`${where} are called`, async () => {
          const { log, spans } = await bothWays(method, given);
          assert.deepEqual(
            log.map(([, when]) => when),
            ["before", "after"],
          );
          await spans(2);
        });
      }

      test("one that forbids the call does, and the span tells what the model got instead", async () => {
        const { spans } = await bothWays(method, {
          execute: () => assert.fail("the tool ran"),
          options: () => ({
            hooks: { beforeToolCall: async () => ({ proceed: false, output: "Not today." }) },
          }),
        });
        const tool = named(await spans(2), "tool.get_order_status");
        assert.deepEqual([tool.status, raw(tool, "response")], ["OK", "Not today."]);
      });

      for (const [name, fail] of [
        ["beforeToolCall", () => assert.fail("of the user's")],
        ["beforeToolCall", async () => assert.fail("of the user's, later")],
        ["afterToolCall", () => assert.fail("of the user's")],
        ["afterToolCall", async () => assert.fail("of the user's, later")],
      ]) {
        test(`${name} that ${fail.constructor.name === "Function" ? "throws" : "rejects"} does what it does untraced`, async () => {
          const { spans } = await bothWays(method, { options: () => ({ hooks: { [name]: fail } }) });
          const tool = named(await spans(2), "tool.get_order_status");
          assert.equal(tool.status, name === "beforeToolCall" ? "ERROR" : "OK");
        });
      }
    });
  }
}
