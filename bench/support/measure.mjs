// Timing: contestants take turns, so that what else the machine does meets all of them alike.

import { collectGarbage, median } from "./clock.mjs";

/**
 * The median time of one call of each contestant, in µs of the event loop. None of them may wait for anything but
 * promises that are settled already, so the loop is busy throughout.
 * @param {Record<string, () => unknown>} contestants
 * @param {{ rounds: number, roundMs: number, between?: () => Promise<unknown> }} plan
 * @returns {Promise<Record<string, number>>}
 */
export async function compare(contestants, { rounds, roundMs, between }) {
  const entries = await Promise.all(
    Object.entries(contestants).map(async ([name, call]) => ({ name, call, times: [] })),
  );
  for (const entry of entries) entry.calls = await callsFor(entry.call, roundMs);
  for (let round = 0; round < rounds; round++) {
    for (const { call, calls, times } of rotated(entries, round)) {
      await between?.();
      collectGarbage();
      times.push(await timeOf(call, calls));
    }
  }
  return Object.fromEntries(entries.map(({ name, times }) => [name, median(times)]));
}

/** How many calls fill a round; warms up on the way. */
async function callsFor(call, roundMs) {
  await timeOf(call, 20);
  const perCall = await timeOf(call, 50);
  return Math.max(10, Math.min(20_000, Math.round((roundMs * 1000) / perCall)));
}

async function timeOf(call, calls) {
  const begun = performance.now();
  for (let i = 0; i < calls; i++) await call();
  return ((performance.now() - begun) * 1000) / calls;
}

const rotated = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)];
