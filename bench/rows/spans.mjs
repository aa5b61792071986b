// Spans of one kind, recorded one after the other until they are delivered: what rows c, d and i share.

import { clock, collectGarbage, rest, turn } from "../support/clock.mjs";
import { prose } from "../support/prose.mjs";
import { now } from "../support/sink.mjs";

const MESSAGE_BYTES = 2048;
/** For so long, and so many at a time, spans are recorded before those that count. */
const WARM_MS = 1000;
const WARM_SPANS = 500;
/** So many customers are served in one turn of the loop. */
const SPANS_OF_TURN = 10;

/**
 * The input and the output of a span: messages, and an answer that is a fifth of all.
 * @param {number} bytes of both
 * @param {number} seed
 */
export function contentOf(bytes, seed) {
  const answerBytes = Math.round(bytes / 5);
  const count = Math.max(1, Math.round((bytes - answerBytes) / MESSAGE_BYTES));
  const messages = Array.from({ length: count }, (_, at) => ({
    role: (count - at) % 2 ? "user" : "assistant",
    content: prose(Math.floor((bytes - answerBytes) / count), { seed: seed * 100 + at }),
  }));
  return {
    input: messages,
    output: { text: prose(answerBytes, { seed: seed * 100 + 99 }), finishReason: "stop" },
  };
}

/**
 * The garbage of what made the contents is collected, and some are recorded without being counted: the engine forgets what
 * it knew of the code with such a collection, and has threads compile it again. A server's code is compiled.
 * @returns as `recordAll`; `spans` are all of them, `counted` those that count
 */
export async function recordWarm(peer, contents) {
  collectGarbage();
  const until = performance.now() + WARM_MS;
  let warmed = 0;
  while (performance.now() < until) {
    await record(peer, contents.slice(0, WARM_SPANS));
    await peer.flush();
    warmed += Math.min(WARM_SPANS, contents.length);
  }
  await rest();
  const used = await recordAll(peer, contents);
  return { ...used, spans: warmed + used.spans, counted: used.spans };
}

/**
 * Records the spans and waits until all that the process does about them is done.
 * @param {import("../peers/index.mjs").Peer} peer
 * @param {Iterable<{ input: object[], output: object }>[]} all  contents, of which each lot is flushed before the next
 * @returns {Promise<import("../support/clock.mjs").Used & { spans: number, begunMs: number }>}
 */
export async function recordAll(peer, ...all) {
  await turn();
  const begunMs = now();
  const used = clock();
  let spans = 0;
  for (const contents of all) {
    spans += await record(peer, contents);
    await peer.flush();
  }
  await rest();
  return { ...used(), spans, begunMs };
}

/** Says how many there were. */
async function record(peer, contents) {
  let spans = 0;
  for (const { input, output } of contents) {
    peer.span(input, output);
    if (++spans % SPANS_OF_TURN === 0) await turn();
  }
  return spans;
}
