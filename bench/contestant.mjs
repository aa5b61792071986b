// A contestant's process: it loads one peer and does rounds of one row's work when it is told to. See support/crew.mjs.

import { startPeer } from "./peers/index.mjs";

let peer;
let work;

/** What it may be told, by name; the answer goes back. */
const does = {
  async prepare({ name, row, options, work: what }) {
    peer = await startPeer(name, options);
    const { prepare } = await import(`./rows/${row}.mjs`);
    work = await prepare(peer, what, name);
  },
  round: (number) => work(number),
  async end() {
    await peer.shutdown();
  },
};

process.on("message", async ({ call, argument }) => {
  try {
    process.send({ value: await does[call](argument) });
  } catch (error) {
    process.send({ error: error.stack ?? String(error) });
  }
});
process.once("disconnect", () => process.exit());
