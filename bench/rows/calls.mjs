// Calls of agents, one after the other until all is delivered: what row a and its real agent share.

import { clock, collectGarbage, rest, turn } from "../support/clock.mjs";

/**
 * @param {import("../peers/index.mjs").Peer} peer
 * @param {{ agent: object, messages: object[], options?: object, kept?: object }[]} calls
 * @returns {Promise<import("../support/clock.mjs").Used>}
 */
export async function generateAll(peer, calls) {
  collectGarbage();
  await turn();
  const used = clock();
  for (const { agent, messages, options, kept } of calls) {
    await peer.generate(agent, messages, options, kept);
    await turn();
  }
  await peer.flush();
  await rest();
  return used();
}
