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
 *
 * @typedef {object} Outcome
 * @property {Record<string, object[]>} figures  of each round, by the contestant's name; `sent` is what the sink got
 * @property {string[]} notes  which peer could not take part, and why
 *
 * @param {Plan} plan
 * @returns {Promise<Outcome>}
 */
export async function compete({ row, names, work, rounds, warmUps = 2, offer, dead, options, own }) {
  const sink = dead ? await deadSink() : await startSink(offer);
  const given = { url: sink.url, queue: 1_000_000, ...options };
  const all = names.map((name) => start(name, dead));
  const notes = [];
  let members = all;
  const unable = ({ name }, error) => {
    if (name === "fallom" || isFloor(name)) throw error;
    members = members.filter((member) => member.name !== name);
    notes.push(`${PEERS[name].label} cannot do it: ${error.message.split("\n", 1)[0]}`);
  };
  try {
    for (const member of all) {
      const { name, tell } = member;
      const told = { name, row, work, options: { ...given, ...own?.[name] } };
      await tell("prepare", told).catch((error) => unable(member, error));
    }
    const figures = Object.fromEntries(members.map(({ name }) => [name, []]));
    for (let round = 0; round < warmUps + rounds; round++) {
      for (const member of rotated(members, round)) {
        const figure = await roundOf(member, round, sink).catch((error) => unable(member, error));
        if (!figure) delete figures[member.name];
        else if (round >= warmUps) figures[member.name].push(figure);
      }
    }
    // What is not delivered cannot be flushed.
    if (!dead) await Promise.allSettled(members.map(({ tell }) => tell("end")));
    return { figures, notes };
  } finally {
    for (const { child } of all) child.kill("SIGKILL");
    sink.close();
  }
}

async function roundOf({ name, tell }, round, sink) {
  const figure = await tell("round", round);
  return { ...figure, sent: await sink.take(isFloor(name) ? 0 : figure.spans) };
}

const isFloor = (name) => PEERS[name].floor === true;

/**
 * Spans that did not arrive, by contestant; floors send none.
 * @param {Record<string, object[]>} figures
 */
export function lostOf(figures) {
  const missing = (all) => all.reduce((sum, { spans, sent }) => sum + spans - sent.spans, 0);
  const all = Object.entries(tracersOf(figures));
  return Object.fromEntries(all.map(([name, rounds]) => [name, Math.max(0, missing(rounds))]));
}

/** The figures without those of floors. */
export const tracersOf = (figures) =>
  Object.fromEntries(Object.entries(figures).filter(([name]) => !isFloor(name)));

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

function start(name, dead = false) {
  // Of a dead server, some complain at length.
  const stdio = ["ignore", "ignore", dead ? "ignore" : "inherit", "ipc"];
  const child = fork(PROGRAM, [], { stdio });
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

/** The list, begun elsewhere. */
export const rotated = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)];
