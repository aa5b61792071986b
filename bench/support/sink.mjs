// A server that takes everything at once and keeps nothing, in a process of its own: what is measured is the sender.
// It serves some prompts, tests and configs, offers batches and compression as Fallom does, and ends with its starter.

import { fork } from "node:child_process";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const prompt = (key, text) => ({ key, version: 1, system_prompt: text, user_template: "" });
const FIVE = "You are {{tone}} to {{name}} of {{company}}, who is in {{ city }} and has the plan {{plan}}.";

/** What is served to readers. */
export const LISTS = {
  "/prompts": {
    prompts: [
      prompt("p", "You help {{company}}."),
      prompt("five", FIVE),
      prompt("five-b", `${FIVE} Be short.`),
      prompt("braces", "{".repeat(1_000_000)),
    ],
  },
  "/prompt-ab-tests": {
    prompt_ab_tests: [
      {
        key: "test",
        version: 1,
        variants: [
          { prompt_key: "five", prompt_version: null, weight: 50 },
          { prompt_key: "five-b", prompt_version: null, weight: 50 },
        ],
      },
    ],
  },
  "/configs": {
    configs: [
      {
        key: "targeted",
        version: 1,
        variants: ["small", "medium", "large"].map((model) => ({ model, weight: 33 })),
        targeting: {
          rules: [
            { conditions: [{ field: "country", operator: "in", value: ["DE", "AT"] }], variantIndex: 0 },
            {
              conditions: [
                { field: "customerId", operator: "eq", value: "vip-7" },
                { field: "plan", operator: "eq", value: "pro" },
              ],
              variantIndex: 2,
            },
          ],
        },
      },
    ],
  },
};
const HEADERS = {
  "content-type": "application/json",
  "accept-post": "application/x-ndjson",
  "accept-encoding": "zstd, gzip",
};

/** @returns {Promise<{ url: string, close: () => void }>} */
export async function startSink() {
  const child = fork(fileURLToPath(import.meta.url));
  const port = await new Promise((resolve, reject) => child.once("message", resolve).once("error", reject));
  return { url: `http://127.0.0.1:${port}`, close: () => child.disconnect() };
}

function answerTo(url) {
  const [, name] = /^\/api\/public\/v2\/prompts\/([^?]+)/.exec(url) ?? [];
  return name ? langfusePrompt(name) : (LISTS[url] ?? { accepted: 1 });
}

/** The same prompts, as Langfuse serves them. */
function langfusePrompt(name) {
  const { version, system_prompt } = LISTS["/prompts"].prompts.find(({ key }) => key === name);
  return { name, version, prompt: system_prompt, type: "text", labels: ["production"], tags: [], config: {} };
}

function serve() {
  const server = createServer((request, response) => {
    request.resume().once("end", () => {
      response.writeHead(200, HEADERS).end(JSON.stringify(answerTo(request.url)));
    });
  });
  server.listen(0, "127.0.0.1", () => process.send(server.address().port));
  process.once("disconnect", () => process.exit());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve();
