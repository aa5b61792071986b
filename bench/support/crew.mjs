// The contestants of a row, each in a process of its own, since tracers have global state; they take turns, so that
// what else the machine does meets all of them alike.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
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
 * @property {object} [options]  for the peers
 * @property {Record<string, object>} [own]  for a peer of this name
 * @property {string[]} [flags]  of node
 *
 * Figures of each round, by the contestant's name; `sent` is what the sink got of it.
 * @param {Plan} plan
 * @returns {Promise<Record<string, object[]>>}
 */
export async function compete({ row, names, work, rounds, warmUps = 2, offer, options, own, flags }) {
  const sink = await startSink(offer);
  const members = [];
  try {
    for (const name of names) members.push(start(name, flags));
    const given = { url: sink.url, compress: offer?.compression ?? true, queue: 1_000_000, ...options };
    await Promise.all(
      members.map(({ name, tell }) =>
        tell("prepare", { name, row, work, options: { ...given, ...own?.[name] } }),
      ),
    );
    const figures = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = -warmUps; round < rounds; round++) {
      for (const { name, tell } of rotated(members, round + warmUps)) {
        const figure = await tell("round", round + warmUps);
        const sent = await sink.take(figure.spans ?? 0);
        if (round >= 0) figures[name].push({ ...figure, sent });
      }
    }
    await Promise.all(members.map(({ tell }) => tell("end")));
    return figures;
  } finally {
    for (const { child } of members) child.kill("SIGKILL");
    sink.close();
  }
}

function start(name, flags = []) {
  const child = fork(PROGRAM, [], { execArgv: flags, stdio: ["ignore", "ignore", "inherit", "ipc"] });
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
