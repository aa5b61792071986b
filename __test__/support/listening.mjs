// Programs that listen to what the tracer tells of itself.

import { child } from "./child.mjs";
import { runProgram } from "./program.mjs";

/** What the programs have besides `child`'s: `listening`, the options with a listener; what it `heard`; `hears` waits. */
const LISTENING = `
const heard = [];
const listening = { ...given.options, onDiagnostic: (event) => heard.push(event) };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const hears = async (type, reason, enough = 1) => {
  const found = () => heard.filter((event) => event.type === type && (!reason || event.reason === reason));
  while (found().length < enough) await sleep(5);
  return found();
};
const local = (path, value) =>
  fetch(given.args.url + "/_local/" + path, { method: "PUT", body: JSON.stringify(value) });
`;

/**
 * Runs such a program, a function as `child` takes it.
 * @param {Function | string} body
 * @param {Parameters<typeof child>[1]} [program]
 */
export const hearing = (body, program) =>
  runProgram(
    child(
      `(given) => {${LISTENING} return (${body})({ ...given, heard, listening, hears, sleep, local }); }`,
      program,
    ),
  );
