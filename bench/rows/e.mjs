// (e) What is held while the server is dead: of a conversation that is traced at each turn with its whole history, and
// of 100,000 spans.

import { setTimeout as sleep } from "node:timers/promises";
import { OTHERS } from "../peers/index.mjs";
import { median, turn } from "../support/clock.mjs";
import { compete } from "../support/crew.mjs";
import { prose } from "../support/prose.mjs";
import { fresh, open, playing, record } from "../support/record.mjs";
import { contentOf } from "./spans.mjs";

const ROUNDS = 3;
const TURNS = [50, 100, 200];
const MESSAGE_BYTES = 2048;
const SPANS = 100_000;
const MB = 2 ** 20;
/** A tracer that sends behind may still hold something when the last span was recorded. */
const AFTER_MS = 1000;

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "e",
  title: "held while the server is dead",
  columns: ["none", "fallom", ...OTHERS],
  less: true,
  async *lines({ only, rounds = ROUNDS, peers = OTHERS }) {
    for (const turns of TURNS) {
      const what = `${turns} turns of a conversation`;
      if (only(what)) yield await conversation(what, turns);
    }
    const what = "peak RSS, 100,000 spans of 2 KB";
    if (only(what)) yield await peak(what, rounds, peers);
  },
  bounds: (value) => [
    {
      what: "bytes of 200 turns / of 50 turns",
      figure: value("200 turns of a conversation", "fallom") / value("50 turns of a conversation", "fallom"),
      most: 4.4,
    },
  ],
  notes: [
    "turns: ours by stats().queuedBytes; the peers tell no such figure, and drop a batch that failed.",
    "peak RSS: of the whole process, with the default queues, of which OpenTelemetry's and Langfuse's hold 2,048 spans,",
    "PostHog's 10,000; what does not fit they drop",
  ],
};

async function conversation(what, turns) {
  const recorded = await record({ bytes: MESSAGE_BYTES });
  const work = { recorded: recorded.toString("base64"), turns };
  const { figures } = await compete({ row: "e", names: ["fallom"], work, rounds: 1, warmUps: 0, dead: true });
  const [{ bytes, dropped }] = figures.fallom;
  return { what, unit: "MB", values: { fallom: bytes / MB }, lost: { fallom: dropped } };
}

/** Each time in processes of their own, since a peak does not go away. */
async function peak(what, rounds, peers) {
  const names = ["none", "fallom", ...peers];
  const all = [];
  for (let round = 0; round < rounds; round++) {
    const plan = { work: {}, rounds: 1, warmUps: 0, dead: true, options: { queue: undefined } };
    all.push(await compete({ row: "e", names, ...plan }));
  }
  const able = names.filter((name) => all.every(({ figures }) => name in figures));
  const peakOf = (name) => median(all.map(({ figures }) => figures[name][0].peakMB));
  const values = Object.fromEntries(able.map((name) => [name, peakOf(name)]));
  const held = median(all.map(({ figures }) => figures.fallom[0].held));
  const notes = [`peak RSS: of the 100,000 spans, we still hold ${held.toLocaleString("en")}`];
  return { what, unit: "MB", values, notes: [...notes, ...all.flatMap(({ notes }) => notes)] };
}

/** In the contestant. */
export function prepare(peer, { recorded, turns }) {
  return recorded ? () => converse(peer, open(Buffer.from(recorded, "base64")), turns) : () => many(peer);
}

/** As an application keeps it: the messages of former turns are the same objects at each turn. */
async function converse(peer, run, turns) {
  const history = [];
  const say = (role, seed) => history.push({ role, content: prose(MESSAGE_BYTES, { seed }) });
  for (let at = 0; at < turns; at++) {
    say("user", at * 2);
    await peer.generate(playing(fresh(run, at)), [...history]);
    say("assistant", at * 2 + 1);
    await turn();
  }
  // Until the core has taken all of them in.
  const taken = ({ queued, inFlight, dropped }) => queued + inFlight + dropped.total;
  while (taken(peer.stats()) < turns) await sleep(20);
  await sleep(AFTER_MS);
  const { queuedBytes, dropped } = peer.stats();
  return { spans: turns, bytes: queuedBytes, dropped: dropped.total };
}

async function many(peer) {
  for (let at = 0; at < SPANS; at++) {
    const { input, output } = contentOf(MESSAGE_BYTES, at);
    peer.span(input, output);
    if (at % 10 === 9) await turn();
  }
  await sleep(AFTER_MS);
  return { spans: SPANS, peakMB: process.resourceUsage().maxRSS / 1024, held: peer.stats?.().queued };
}
