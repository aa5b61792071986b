// What a stretch of work costs its process: the event loop's busy time and the CPU time of its threads.

import { readFileSync } from "node:fs";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** Twice: what a row has made is old then. It is young after once, and copied while something is measured. */
export function collectGarbage() {
  collect();
  collect();
}

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
  const thread = threadMs();
  const cpu = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  return () => {
    const { active } = performance.eventLoopUtilization(loop);
    const { user, system } = process.cpuUsage(cpu);
    return { loopMs: active, threadMs: threadMs() - thread, cpuMs: (user + system) / 1000 };
  };
}

const THREAD = `/proc/self/task/${process.pid}/schedstat`;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** Linux tells it, exact to the moment when the thread last waited; elsewhere it is not known. */
function threadMs() {
  if (process.platform !== "linux") return Number.NaN;
  Atomics.wait(NEVER, 0, 0, 1);
  return Number(readFileSync(THREAD, "latin1").split(" ", 1)) / 1e6;
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
