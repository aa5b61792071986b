// Text that looks like conversations: a vocabulary of some thousand words with Zipf-like frequencies, the same each time.
// A text of twelve words repeated would compress far better than what customers write.

import { seeded } from "../../__test__/support/random.mjs";

const WORDS = 6000;
const SYLLABLES = {
  ascii:
    "ba be bi bo ca ce ci co da de di do el en er es fa fo ga go ha he in is ka ke la le li lo ma me mi na ne no on or pa pe ra re ri ro sa se si so ta te ti to un ve vi wa we".split(
      " ",
    ),
  // Cyrillic, accented Latin and Chinese: two and three bytes of UTF-8, and two of V8's own.
  wide: "ба бе ви во га го да де жи за ка ко ла ли ма ми на не по ра ре са се та те ши ñé ür åß çã 订单 客户 包裹 退款 今天 地址".split(
    " ",
  ),
};

function vocabulary(syllables) {
  const next = seeded(7);
  const pick = () => syllables[Math.floor(next() * syllables.length)];
  return Array.from({ length: WORDS }, () =>
    Array.from({ length: 1 + Math.floor(next() * 4) }, pick).join(""),
  );
}

/** Words to draw from, by rank: one over its rank is how often a word comes. */
const DRAWS = 2 ** 16;
const RANKS = Uint16Array.from({ length: DRAWS }, (_, at) => WORDS ** (at / DRAWS) - 1);

/** Of each word, how it stands within a sentence and at its beginning, and its bytes of UTF-8. */
function forms(words) {
  return words.map((word) => ({
    word,
    capital: word[0].toUpperCase() + word.slice(1),
    bytes: Buffer.byteLength(word),
  }));
}

const VOCABULARIES = {
  ascii: forms(vocabulary(SYLLABLES.ascii)),
  wide: forms(vocabulary(SYLLABLES.wide)),
};

/**
 * A text of so many bytes of UTF-8, or a word more. It begins with a number of eight digits, which `fresh` in record.mjs
 * replaces.
 * @param {number} bytes
 * @param {{ seed?: number, wide?: boolean }} [options] wide: not ASCII
 */
export function prose(bytes, { seed = 0, wide = false } = {}) {
  const words = VOCABULARIES[wide ? "wide" : "ascii"];
  const next = seeded(seed + 1);
  let text = "00000000 ";
  let length = text.length;
  let begins = true;
  while (length < bytes - 2) {
    const { word, capital, bytes: wordBytes } = words[RANKS[Math.floor(next() * DRAWS)]];
    const roll = next();
    const number = roll > 0.985 ? ` #${Math.floor(roll * 1e9) % 1_000_000}` : "";
    const end = roll < 0.09 ? ". " : roll < 0.16 ? ", " : " ";
    text += (begins ? capital : word) + number + end;
    length += wordBytes + number.length + end.length;
    begins = roll < 0.09;
  }
  // In one piece, as a text is that came over the network.
  return wide ? Buffer.from(text).toString() : Buffer.from(text, "latin1").toString("latin1");
}
