// What callgrind counts of a program of Node's: in the addon, on the threads on which it works, and where it is called.
// The format that is read here: https://valgrind.org/docs/manual/cl-format.html

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../steps.mjs";

const OUT = "callgrind.out";
const FLAGS = [
  "--tool=callgrind",
  "--separate-threads=yes",
  // So that each line can be read by itself.
  "--compress-strings=no",
  "--compress-pos=no",
];
/** What V8 compiles and collects beside it is not our business, and takes long here. */
const NODE_FLAGS = ["--jitless", "--single-threaded"];

const ADDON = /[\\/]fallom-trace\.[^\\/]+\.node$/;
const MAIN_THREAD = 1;
/** A thread is the addon's if so much of its own work lies in it; the rest is the C library's. */
const LEAST_SHARE = 0.25;

/** Whether valgrind is here. */
export async function hasValgrind() {
  return run("valgrind", ["--version"]).then(
    () => true,
    () => false,
  );
}

/**
 * Runs a program of Node's to its end and says how many instructions it took: on the addon's own threads; and on the
 * event loop, from each call of the addon until its return.
 * @param {string} folder an empty one, for callgrind's files
 * @param {string[]} program
 * @returns {Promise<{ native: number, "event loop": number }>}
 */
export async function instructions(folder, program) {
  const out = `--callgrind-out-file=${join(folder, OUT)}`;
  await run("valgrind", [...FLAGS, out, process.execPath, ...NODE_FLAGS, ...program]);
  const threads = readThreads(folder);
  const main = threads.find(({ thread }) => thread === MAIN_THREAD);
  const own = threads.filter(({ total, inAddon }) => inAddon > total * LEAST_SHARE);
  if (!main || !own.length || own.includes(main))
    throw new Error(`callgrind's files tell of no thread of the addon: ${folder}`);
  return { native: own.reduce((sum, { total }) => sum + total, 0), "event loop": main.intoAddon };
}

function readThreads(folder) {
  return readdirSync(folder)
    .map((file) => [file, /-(\d+)$/.exec(file)?.[1]])
    .filter(([file, thread]) => file.startsWith(OUT) && thread)
    .map(([file, thread]) => ({
      thread: Number(thread),
      ...count(readFileSync(join(folder, file), "utf8")),
    }));
}

/** `total`; of that, `inAddon`: in the addon's own code; `intoAddon`: in what others call there, and all below it. */
function count(text) {
  const sums = { total: 0, inAddon: 0, intoAddon: 0 };
  let inAddon = false;
  // Of the call whose cost stands in the next line. A call within an object does not name it again.
  let isCall = false;
  let callsAddon;
  for (const line of text.split("\n")) {
    if (line.startsWith("ob=")) inAddon = ADDON.test(line);
    else if (line.startsWith("cob=")) callsAddon = ADDON.test(line);
    else if (line.startsWith("calls=")) isCall = true;
    else if (/^\d/.test(line)) {
      const cost = Number(line.split(" ")[1]);
      if (!isCall) {
        sums.total += cost;
        if (inAddon) sums.inAddon += cost;
      } else if (callsAddon && !inAddon) sums.intoAddon += cost;
      isCall = false;
      callsAddon = undefined;
    }
  }
  return sums;
}
