// A model on the loopback: an OpenAI-compatible server whose answers a function decides. It is the one thing that the
// tests put in the place of something real. It speaks `POST /v1/chat/completions` and `POST /v1/responses`, streamed and
// not, as `@ai-sdk/openai` 2.x and 4.x read them.
//
//   const model = await startModel((call) => ({ text: `You said: ${call.lastUser}` }));
//   createOpenAI({ apiKey: "-", baseURL: model.baseURL })("gpt-4o-mini");
//
// As a program it plays a customer-support scene: node __test__/support/model.mjs [--port N]

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { answerOf, errorOf } from "./model/answer.mjs";
import { chatBody, chatEvents } from "./model/chat.mjs";
import { supportReply } from "./model/replies.mjs";
import { outputItems, responsesBody, responsesEvents } from "./model/responses.mjs";
import { viewOf } from "./model/view.mjs";

export { echo, script, supportReply } from "./model/replies.mjs";

/**
 * @typedef {object} Seen a request, as it came
 * @property {import("./model/view.mjs").Call} call
 * @property {object} body
 * @property {import("node:http").IncomingHttpHeaders} headers
 * @property {"open" | "done" | "aborted"} state  aborted: the client went away before the end of the answer
 */

const APIS = {
  "/v1/chat/completions": { name: "chat", body: chatBody, events: chatEvents },
  "/v1/responses": { name: "responses", body: responsesBody, events: responsesEvents },
};

/**
 * @param {(call: import("./model/view.mjs").Call) => unknown} reply what to answer: see `Reply`; a string is a text
 * @param {{ port?: number }} [options]
 * @returns {Promise<{ baseURL: string, requests: Seen[], close: () => Promise<void> }>}
 */
export async function startModel(reply, { port = 0 } = {}) {
  const scene = { reply, requests: [], attempts: new Map(), items: new Map(), calls: 0 };
  const server = createServer((request, response) => {
    serve(scene, request, response).catch((error) => fail(response, error));
  });
  // A connection that is closed as idle may just be taken up again by the client: with many calls at once, some fail.
  server.keepAliveTimeout = 0;
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return {
    baseURL: `http://127.0.0.1:${server.address().port}/v1`,
    requests: scene.requests,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function serve(scene, request, response) {
  const api = APIS[request.url.split("?")[0]];
  if (request.method !== "POST" || !api)
    return sendJson(response, 404, { error: { message: `no ${request.url} here` } });
  const { seen, n } = note(scene, api, request, await textOf(request));
  const gone = new AbortController();
  response.once("close", () => {
    seen.state = response.writableFinished ? "done" : "aborted";
    gone.abort();
  });

  const said = await scene.reply(seen.call);
  const reply = typeof said === "string" ? { text: said } : said;
  await pause(reply.delayMs, gone.signal);
  if (gone.signal.aborted) return;
  if (reply.status >= 400) return sendJson(response, reply.status, errorOf(reply), reply.headers);

  const answer = answerOf(reply, { n, asked: seen.call.model, nextCallId: () => `call_${++scene.calls}` });
  for (const item of outputItems(answer)) scene.items.set(item.id, item);
  if (seen.call.stream) return sendEvents(response, [...api.events(answer)], reply, gone.signal);
  if (reply.reset) return response.destroy();
  if (!reply.hang) sendJson(response, 200, api.body(answer), reply.headers);
}

/** Keeps the request, and tells what number it has. */
function note(scene, api, request, text) {
  const attempt = (scene.attempts.get(text) ?? 0) + 1;
  scene.attempts.set(text, attempt);
  const body = JSON.parse(text);
  const seen = {
    call: viewOf(body, api.name, attempt, scene.items),
    body,
    headers: request.headers,
    state: "open",
  };
  return { seen, n: scene.requests.push(seen) };
}

async function sendEvents(response, events, { chunkDelayMs, hang, reset, headers }, gone) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache", ...headers });
  const kept = hang || reset ? events.slice(0, events.length / 2) : events;
  for (const [i, event] of kept.entries()) {
    if (i > 0) await pause(chunkDelayMs, gone);
    if (gone.aborted) return;
    response.write(`data: ${event}\n\n`);
  }
  if (reset) return setImmediate(() => response.destroy());
  if (!hang) response.end();
}

function sendJson(response, status, body, headers) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

function fail(response, error) {
  if (response.headersSent) return response.destroy();
  sendJson(response, 500, {
    error: { message: `the model's reply function failed: ${error?.stack ?? error}` },
  });
}

async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Waits, but not for a client that has gone. */
const pause = (ms, signal) => (ms ? sleep(ms, undefined, { signal }).catch(() => {}) : undefined);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { port = "0" } = parseArgs({ options: { port: { type: "string" } } }).values;
  const { baseURL } = await startModel(supportReply, { port: Number(port) });
  console.log(`listening on ${baseURL}`);
}
