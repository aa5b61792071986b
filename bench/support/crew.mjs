// The contestants of a row, each in a process of its own, since tracers have global state; they take turns, so that
// what else the machine does meets all of them alike.

import { fork } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { PEERS } from "../peers/index.mjs";
import { median } from "./clock.mjs";
import { startSink } from "./sink.mjs";

const PROGRAM = fileURLToPath(new URL("../contestant.mjs", import.meta.url));

/**
 * @typedef {object} Plan
 * @property {string} row  the module in rows/ whose `prepare` makes a contestant's work
 * @property {string[]} names  of the contestants, see peers/index.mjs
 * @property {object} work  given to `prepare`
 * @property {number} rounds
 * @property {number} [warmUps]  rounds that do not count
 * @property {import("./sink.mjs").Offer} [offer]  of the sink
 * @property {boolean} [dead]  nobody listens where the sink should be
 * @property {object} [options]  for the peers
 * @property {Record<string, object>} [own]  for a peer of this name
 * @property {string[]} [flags]  of node
 *
 * Figures of each round, by the contestant's name; `sent` is what the sink got of it.
 * @param {Plan} plan
 * @returns {Promise<Record<string, object[]>>}
 */
export async function compete({ row, names, work, rounds, warmUps = 2, offer, dead, options, own, flags }) {
  const sink = dead ? await deadSink() : await startSink(offer);
  const members = [];
  try {
    for (const name of names) members.push(start(name, flags, dead));
    const given = { url: sink.url, queue: 1_000_000, ...options };
    await Promise.all(
      members.map(({ name, tell }) =>
        tell("prepare", { name, row, work, options: { ...given, ...own?.[name] } }),
      ),
    );
    const figures = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = -warmUps; round < rounds; round++) {
      for (const { name, tell } of rotated(members, round + warmUps)) {
        const figure = await tell("round", round + warmUps);
        const sent = await sink.take(PEERS[name].module === "none" ? 0 : figure.spans);
        if (round >= 0) figures[name].push({ ...figure, sent });
      }
    }
    // What is not delivered cannot be flushed.
    if (!dead) await Promise.all(members.map(({ tell }) => tell("end")));
    return figures;
  } finally {
    for (const { child } of members) child.kill("SIGKILL");
    sink.close();
  }
}

/**
 * Spans that did not arrive, by contestant; floors send none.
 * @param {Record<string, object[]>} figures
 */
export function lostOf(figures) {
  const missing = (all) => all.reduce((sum, { spans, sent }) => sum + spans - sent.spans, 0);
  const tracers = Object.entries(figures).filter(([name]) => PEERS[name].module !== "none");
  return Object.fromEntries(tracers.map(([name, all]) => [name, Math.max(0, missing(all))]));
}

/** The median of something over the rounds, by contestant. */
export const medians = (figures, of) =>
  Object.fromEntries(Object.entries(figures).map(([name, all]) => [name, median(all.map(of))]));

/** A port that nobody listens on any more. */
async function deadSink() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return { url: `http://127.0.0.1:${port}`, take: async () => undefined, close: () => {} };
}

function start(name, flags = [], dead = false) {
  // Of a dead server, some complain at length.
  const child = fork(PROGRAM, [], {
    execArgv: flags,
    stdio: ["ignore", "ignore", dead ? "ignore" : "inherit", "ipc"],
  });
  const tell = (call, argument) =>
    new Promise((resolve, reject) => {
      const gone = (code) => reject(new Error(`${name} ended with ${code}`));
      child.once("exit", gone);
      child.once("message", ({ value, error }) => {
        child.off("exit", gone);
        if (error) reject(new Error(`${name}: ${error}`));
        else resolve(value);
      });
      child.send({ call, argument });
    });
  return { name, child, tell };
}

const rotated = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)];
