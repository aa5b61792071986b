// How many instructions a span takes, of the addon as it is shipped: on its own thread, and on the event loop within
// its functions. Counted by callgrind, so that a busy machine does not matter.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasValgrind, instructions } from "./callgrind.mjs";

const PROGRAM = fileURLToPath(new URL("program.cjs", import.meta.url));
const SHAPES = { small: 256, "20 KB": 48, "50 messages": 32 };
const TEXT_BYTES = 2 ** 20;
const WORDS = "order parcel courier depot refund invoice customer address delay status today tomorrow".split(
  " ",
);

/**
 * Instructions for each span, by shape; nothing where there is no valgrind.
 * @returns {Promise<Record<string, { native: number, "event loop": number }> | undefined>}
 */
export async function countInstructions() {
  if (!(await hasValgrind())) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "fallom-guard-"));
  const server = await startServer();
  try {
    await writeFile(join(folder, "text"), someText());
    const counted = await inTurns(runsIn(folder, server.url));
    return Object.fromEntries(
      Object.entries(SHAPES).map(([shape, spans]) => [shape, perSpan(counted, shape, spans)]),
    );
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
}

/** A run for each shape, and one without spans, for what starting takes. */
function runsIn(folder, url) {
  const run = (name, shape, spans) => async () => {
    const own = join(folder, name);
    await mkdir(own);
    const args = [PROGRAM, url, join(folder, "text"), shape, String(spans)];
    return [name, await instructions(own, args)];
  };
  const shapes = Object.entries(SHAPES).map(([shape, spans]) => run(shape, shape, spans));
  return [run("none", "small", 0), ...shapes];
}

/** As many at a time as there are processors. */
async function inTurns(runs) {
  const left = [...runs];
  const done = [];
  const work = async () => {
    for (let next = left.shift(); next; next = left.shift()) done.push(await next());
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return Object.fromEntries(done);
}

function perSpan(counted, shape, spans) {
  const of = (what) => Math.round((counted[shape][what] - counted.none[what]) / spans);
  return { native: of("native"), "event loop": of("event loop") };
}

/** It takes all spans. */
async function startServer() {
  const server = createServer((request, response) => {
    request.resume().once("end", () => {
      response.statusCode = request.method === "POST" ? 200 : 404;
      response.end('{"accepted":1}');
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The same in each run, and not too easy to compress. */
function someText() {
  let state = 7;
  const below = (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >> 16) % most;
  };
  let text = "";
  while (text.length < TEXT_BYTES) text += WORDS[below(WORDS.length)] + (below(12) ? " " : ".\n");
  return text;
}
