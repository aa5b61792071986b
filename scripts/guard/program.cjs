// What runs under callgrind: so many spans of one shape, until they are delivered (scripts/guard/instructions.mjs).
//   node program.cjs URL TEXT SHAPE SPANS

const { readFileSync } = require("node:fs");
const fallom = require("../../dist/index.js");

const [url, file, shape, count] = process.argv.slice(2);
const SPANS = Number(count);
const TEXT = readFileSync(file, "latin1");
const MESSAGES = 50;

const session = fallom.session({ configKey: "support-chat", sessionId: "session-1", customerId: "user-456" });

/** Each makes its `n`th span. As bounds.json names them. */
const SHAPES = { small, "20 KB": large, "50 messages": history };

async function main() {
  // One request at a time, and none before a batch is full or flushed: the same in each run.
  await fallom.init({
    apiKey: "guard",
    tracesUrl: url,
    configsUrl: url,
    promptsUrl: url,
    refreshMs: 3_600_000,
    batch: { maxDelayMs: 60_000 },
    transport: { format: "ndjson", compression: "zstd", maxConcurrent: 1 },
  });
  await Promise.all(Array.from({ length: SPANS }, (_, n) => SHAPES[shape](n)));
  await fallom.flush({ timeoutMs: 120_000 });
  const { delivered } = fallom.stats();
  if (delivered !== SPANS) throw new Error(`${delivered} of ${SPANS} spans were delivered`);
}

function small(n) {
  session.span("step").set({ step: n, cached: true, store: "eu-west" }).end();
}

function large(n) {
  return run([{ role: "user", content: text(n, 10_000) }], text(n + 1, 10_000));
}

/** A turn of a conversation: what was said before, and one message more. */
function history(n) {
  const message = (at) => ({
    role: at % 2 ? "assistant" : "user",
    content: text(at + 1 < MESSAGES ? at : n, 1000),
  });
  return run(
    Array.from({ length: MESSAGES }, (_, at) => message(at)),
    text(n, 1000),
  );
}

/** An agent's run that answers so. */
function run(messages, answer) {
  const agent = {
    name: "SupportAgent",
    // By these, an agent of Mastra's is known.
    getInstructions: () => "You help customers.",
    __registerMastra: () => {},
    generate: async () => ({
      text: answer,
      finishReason: "stop",
      usage: { inputTokens: 700, outputTokens: 80 },
    }),
  };
  return session.wrapMastraAgent(agent).generate(messages);
}

/** Another one for each `n`, within the bounds of what there is. */
function text(n, bytes) {
  const at = (n * 9973) % (TEXT.length - bytes);
  return TEXT.slice(at, at + bytes);
}

main();
