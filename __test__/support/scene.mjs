// The stage of the tests that trace: a Fallom and a model on the loopback, and `@fallom/trace` between them.

import assert from "node:assert/strict";
import fallom from "@fallom/trace";
import { startFallom } from "./fallom.mjs";
import { makeAgent, modelOf } from "./mastra.mjs";
import { startModel } from "./model.mjs";

let sessions = 0;

/**
 * Starts both and calls `init`: once a process, so once a test file.
 * @param {object} [options] for `init`, and `catalog`, for the server
 */
export async function startScene({ catalog, ...options } = {}) {
  const stage = { reply: undefined };
  const [server, model] = await Promise.all([startFallom(), startModel((call) => stage.reply(call))]);
  if (catalog) await server.setCatalog(catalog);
  await fallom.init({ apiKey: "test-key", ...server.urls, batch: { maxDelayMs: 5 }, ...options });
  return {
    server,
    model,

    /** From now on the model answers so. */
    says(reply) {
      stage.reply = reply;
      model.requests.length = 0;
    },

    /** An agent whose model answers so; `api` picks the model's API. */
    agentThat(reply, { api, ...given } = {}) {
      this.says(reply);
      return makeAgent({ model: modelOf(model, { api }), ...given });
    },

    /** A session of its own, with what arrived of it. */
    conversation(more) {
      const sessionId = `session-${++sessions}`;
      const session = fallom.session({
        configKey: "support-chat",
        sessionId,
        customerId: "user-456",
        ...more,
      });
      return { session, sessionId, spans: (count) => spansOf(server, sessionId, count) };
    },

    /** An agent that is traced in a session of its own. */
    traced(reply, given) {
      const { session, ...rest } = this.conversation();
      const agent = this.agentThat(reply, given);
      return { session, ...rest, agent, traced: session.wrapMastraAgent(agent) };
    },

    /** Ends both. Then no span may be left that waits for its end. */
    async close() {
      const { open } = fallom.stats();
      await Promise.all([server.close(), model.close()]);
      assert.equal(open, 0, "spans that are still open");
    },
  };
}

/** The spans of a session, in the order of their start: as many as said, and no more. */
async function spansOf(server, sessionId, count) {
  await server.waitForSpans(count, { sessionId });
  await fallom.flush();
  const spans = await server.spans({ sessionId });
  assert.equal(spans.length, count, await server.tree({ sessionId }));
  return spans.sort((one, other) => one.start_time.localeCompare(other.start_time));
}

/** Reads a stream to its end. */
export async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** What a promise is rejected with. */
export function rejection(promise) {
  return promise.then(
    (value) => assert.fail(`was resolved, with ${JSON.stringify(value)?.slice(0, 200)}`),
    (error) => error,
  );
}

/** A promise, and what settles it. */
export function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
