// What a stretch of work costs its process: the event loop's busy time and the CPU time of its threads.

import { readFileSync } from "node:fs";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
export const collectGarbage = runInNewContext("gc");

const LOOK_MS = 15;
/** Busy for less of such a look, the process is at rest. */
const REST_MS = 1;

/**
 * @typedef {object} Used
 * @property {number} loopMs  the event loop was busy
 * @property {number} threadMs  CPU time of the loop's thread: what of `loopMs` other processes did not take away
 * @property {number} cpuMs  CPU time of all threads
 *
 * @returns {() => Used} what was used since
 */
export function clock() {
  const loop = performance.eventLoopUtilization();
  const thread = threadMs();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return {
      loopMs: performance.eventLoopUtilization(loop).active,
      threadMs: threadMs() - thread,
      cpuMs: (user + system) / 1000,
    };
  };
}

const THREAD = `/proc/self/task/${process.pid}/schedstat`;

/** Linux tells it; elsewhere it is not known. */
function threadMs() {
  return process.platform === "linux"
    ? Number(readFileSync(THREAD, "latin1").split(" ", 1)) / 1e6
    : Number.NaN;
}

/** Waits until the process does no more: some tracers say that they have flushed while they still send. */
export async function rest() {
  for (;;) {
    const used = clock();
    await sleep(LOOK_MS);
    const { loopMs, cpuMs } = used();
    if (loopMs < REST_MS && cpuMs < REST_MS * 2) return;
  }
}

export { turn };

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
