// How the figures are shown.

import { PEERS } from "../peers/index.mjs";

/**
 * @typedef {object} Line
 * @property {string} what
 * @property {string} unit
 * @property {Record<string, number | null>} values  by contestant; null: it cannot do that
 * @property {Record<string, number>} [lost]  spans that did not arrive
 * @property {string[]} [notes]
 *
 * @typedef {object} Bound  one of `most` and `least`
 * @property {string} what
 * @property {number} figure
 * @property {number} [byThread]  the same by the CPU time of the loop's thread, where that is known
 * @property {number} [most]
 * @property {number} [least]
 *
 * @typedef {object} Row
 * @property {string} letter
 * @property {string} title
 * @property {string[]} columns  contestants, in their order
 * @property {boolean} less  less is better
 * @property {(options: Options) => AsyncIterable<Line[]> | AsyncIterable<Line>} lines
 * @property {(value: (what: string, name: string) => number | undefined) => Bound[]} bounds
 * @property {string[]} [notes]  why a peer cannot do it, and with which settings it does
 *
 * @typedef {object} Options
 * @property {(what: string) => boolean} only  whether a line was asked for
 * @property {number} [rounds]
 * @property {string[]} [peers]
 */

/** @param {Row} row @param {Line[]} lines */
export function section({ letter, title, columns, less, notes = [] }, lines) {
  const shown = columns.filter((name) => lines.some(({ values }) => name in values));
  const others = shown.filter((name) => !isFloor(name) && name !== "fallom");
  const label = (name) => PEERS[name]?.label ?? OUTSIDE[name] ?? name;
  const head = [`(${letter}) ${title}`, ...shown.map(label), ...(others.length ? ["best peer : ours"] : [])];
  const body = lines.map(({ what, unit, values, lost = {} }) => [
    `${what}, ${unit}`,
    ...shown.map((name) => cell(values[name], lost[name])),
    ...(others.length ? [ratio(values, others, less)] : []),
  ]);
  const said = [...notes, ...new Set(lines.flatMap(({ notes = [] }) => notes))];
  return [table([head, ...body]), ...said.map((note) => `    ${note}`)].join("\n");
}

/** Who takes part in some rows only, and is no tracer. */
const OUTSIDE = { plain: "floor", statsig: "Statsig node-core" };

const isFloor = (name) => name === "plain" || PEERS[name]?.floor === true;

function cell(value, lost) {
  if (value === null || value === undefined) return "–";
  return `${rounded(value)}${lost ? ` (lost ${lost.toLocaleString("en")})` : ""}`;
}

function ratio(values, others, less) {
  const theirs = others.map((name) => values[name]).filter((value) => Number.isFinite(value));
  if (!theirs.length || !(values.fallom > 0)) return "–";
  const best = less ? Math.min(...theirs) : Math.max(...theirs);
  // What is less than nothing is lost in the noise.
  if (best <= 0) return "–";
  return `${rounded(less ? best / values.fallom : values.fallom / best)} ×`;
}

/**
 * The same lines on several Nodes: what we take, and how far the best peer is from it.
 * @param {{ node: string, rows: { row: string, less: boolean, lines: Line[] }[], bounds: (Bound & { row: string })[] }[]} results
 */
export function beside(results) {
  const head = ["@fallom/trace; best peer : ours", ...results.map(({ node }) => node)];
  const [first] = results;
  const body = first.rows.flatMap(({ row, less, lines }, at) =>
    lines.map(({ what, unit, values }, line) => [
      `(${row}) ${what}, ${unit}`,
      ...results.map(({ rows }) => {
        const { values: here } = rows[at].lines[line];
        const others = Object.keys(values).filter((name) => !isFloor(name) && name !== "fallom");
        return `${cell(here.fallom)}; ${ratio(here, others, less)}`;
      }),
    ]),
  );
  const bounds = first.bounds.map(({ row, what, most, least }, at) => [
    `(${row}) ${what}`,
    most === undefined ? `≥ ${least}` : `≤ ${most}`,
    ...results.map(({ bounds }) => `${rounded(bounds[at].figure)} ${verdict(bounds[at])}`),
  ]);
  return `${table([head, ...body])}\n\n${table([["Must show", "bound", ...head.slice(1)], ...bounds])}`;
}

/** @param {(Bound & { row: string })[]} bounds */
export function boundsTable(bounds) {
  const rows = bounds.map(({ row, what, figure, byThread, most, least }) => [
    `(${row}) ${what}`,
    rounded(figure),
    byThread === undefined ? "" : rounded(byThread),
    most === undefined ? `≥ ${least}` : `≤ ${most}`,
    verdict({ figure, most, least }),
  ]);
  return table([["Must show", "figure", "by its thread's CPU", "bound", ""], ...rows]);
}

function verdict({ figure, most = Number.POSITIVE_INFINITY, least = Number.NEGATIVE_INFINITY }) {
  if (!Number.isFinite(figure)) return "not measured";
  return figure <= most && figure >= least ? "holds" : "FAILS";
}

const rounded = (value) => {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) < 100
    ? String(Number(value.toPrecision(2)))
    : Math.round(value).toLocaleString("en");
};

function table(rows) {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => row[at].length)));
  const pad = (cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]));
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}
