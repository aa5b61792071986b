// Prompts, tests and configs as Fallom lists them, and the link of a span to its prompt.

export const prompt = (key, version, system, user = null) => ({
  key,
  version,
  system_prompt: system,
  user_template: user,
});
export const variant = (prompt_key, prompt_version, weight) => ({ prompt_key, prompt_version, weight });
export const config = (key, version, model) => ({ key, version, variants: [{ model, weight: 100 }] });

/** An A/B test of two prompts, "polite" and "terse", half each. */
export const TONE = {
  key: "tone",
  version: 1,
  variants: [variant("polite", null, 50), variant("terse", 3, 50)],
};

/** A catalog of one prompt, one test of it and one config, whose version and text tell when they were read. */
export const catalogOf = (version, text) => ({
  prompts: [prompt("p", version, text)],
  prompt_ab_tests: [{ key: "t", version: 1, variants: [variant("p", null, 100)] }],
  configs: [config("c", version, text)],
});

/** Key, version, test and variant of the prompt that a span names. */
export const linkOf = (span) => [
  span.prompt_key,
  span.prompt_version,
  span.prompt_ab_test_key,
  span.prompt_variant_index,
];
/** The link of a span that names none. */
export const NO_LINK = [undefined, undefined, undefined, undefined];
