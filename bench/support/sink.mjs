// A server that takes everything at once and keeps nothing, in a process of its own: what is measured is the sender.
// It serves one prompt, offers batches and compression as Fallom does, and ends with its starter.

import { fork } from "node:child_process";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const LISTS = {
  "/prompts": {
    prompts: [{ key: "p", version: 1, system_prompt: "You help {{company}}.", user_template: "" }],
  },
  "/prompt-ab-tests": { prompt_ab_tests: [] },
  "/configs": { configs: [] },
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

function serve() {
  const server = createServer((request, response) => {
    request.resume().once("end", () => {
      response.writeHead(200, HEADERS).end(JSON.stringify(LISTS[request.url] ?? { accepted: 1 }));
    });
  });
  server.listen(0, "127.0.0.1", () => process.send(server.address().port));
  process.once("disconnect", () => process.exit());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve();
