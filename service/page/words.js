// What the page says of an answer, in words. Bounds are rounded to the safe side.

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const unit = () => document.getElementById("unit").value;

/** A name with every character in sight. */
export const seen = (text) => String(text).replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Rounded down: never more than is proved. */
export const down = (x, places = 2) => {
  let digits = places;
  while (x > 0 && Number(x.toFixed(digits)) === 0 && digits < 12) digits += 1;
  let text = x.toFixed(digits);
  if (Number(text) > x) text = (Number(text) - 10 ** -digits).toFixed(digits);
  return text;
};
/** Rounded up: every image at least this close is covered. */
const up = (x, places = 1) => {
  const text = x.toFixed(places);
  return Number(text) < x ? (Number(text) + 10 ** -places).toFixed(places) : text;
};
/** A change of so many levels, rounded towards what is said of it: down where it is proved, up where it is not. */
export function budgetWords(rmse, proved) {
  const db = 20 * Math.log10(255 / rmse);
  const decibels = rmse > 0 ? `, ${proved ? up(db) : down(db, 1)} dB` : "";
  return `RMSE ${proved ? down(rmse) : up(rmse, 2)} of 255${decibels}`;
}
const UNITS = {
  psnr: (r) => (r.psnr === null ? "no change" : `≥ ${up(r.psnr)} dB`),
  rmse: (r) => `RMSE ${down(r.rmse)}`,
  l2: (r) => `ℓ2 ${down(r.l2)}`,
};
export const radiusWords = (radius) => UNITS[unit()](radius);
/** As part of a sentence. */
const changeWords = (radius) => ({
  psnr: (r) => (r.psnr === null ? "no change at all" : `any change down to ${up(r.psnr)} dB`),
  rmse: (r) => `any change up to RMSE ${down(r.rmse)} of 255`,
  l2: (r) => `any change up to ℓ2 ${down(r.l2)}`,
})[unit()](radius);

export function nameOf(match) {
  return match.path === match.id ? `item ${match.id}` : seen(match.path);
}

/** The verdict as a sentence. */
export function verdictWords(record) {
  if (record.error) return `No answer: ${record.detail}`;
  const best = record.matches.find((match) => match.copy) || record.matches.find((match) => match.accepted);
  const companion = record.companion;
  const of = best ? `Copy of ${nameOf(best)}` : "Copy of something in the index";
  if (companion?.names_copy) return `${of}, by the companion ${companion.channels.map(seen).join(" and ")} alone: not proved.`;
  if (record.verdict === "copy") {
    if (best && best.copy) return `${of}: proved for ${changeWords(best.copy)}.`;
    return record.copy ? `${of}: proved for ${changeWords(record.copy)}.` : `${of}, by the threshold alone; nothing is proved.`;
  }
  if (record.verdict === "not-a-copy" && record.silenced_by?.length) {
    const proved = record.not_a_copy ? `, proved for ${changeWords(record.not_a_copy)}` : "";
    return `Not a copy: silenced by the negative bank ${record.silenced_by.map(seen).join(", ")}${proved}.`;
  }
  if (record.verdict === "not-a-copy") {
    const plain = companion ? `: ${record.verdict_because}.` : ", by the threshold alone; nothing is proved.";
    const proved = record.not_a_copy ? `: proved for ${changeWords(record.not_a_copy)}.` : plain;
    return `Not a copy of anything in the index${proved}`;
  }
  const asItIs = { copy: ` As it is: a copy${best ? ` of ${nameOf(best)}` : ""}.`, "not-a-copy": " As it is: not a copy of anything." }[record.point_verdict] || "";
  const word = record.verdict === "uncertified" ? "No certificate" : "Undecided";
  return `${word}: ${record.verdict_because || "nothing is known"}.${asItIs}`;
}

/** Whether the verdict holds if the image may be changed by so much. */
export const provedAt = (record, rmse) => {
  const radius = record.copy || record.not_a_copy;
  return Boolean(radius) && rmse <= radius.rmse;
};

const NAMES = { copy: "copy", "not-a-copy": "not a copy", undecided: "undecided", uncertified: "uncertified" };

/** What stands in a table for the verdict; where there is none, what the image is as it is. */
export function verdictWord(record) {
  if (record.companion?.names_copy) return "copy, not proved";
  const asItIs = NAMES[record.point_verdict];
  return record.verdict === record.point_verdict || !asItIs ? NAMES[record.verdict] : `${NAMES[record.verdict]}; as it is: ${asItIs}`;
}

/** The verdict that is proved, and no change within the radius takes away; null for none. */
export const provedVerdict = (record) => (record.copy ? "copy" : record.not_a_copy ? "not-a-copy" : null);

/** What stands in a table for what is proved. */
export function provedWord(record) {
  const radius = record.copy || record.not_a_copy;
  return radius ? `${NAMES[provedVerdict(record)]}, ${radiusWords(radius)}` : "";
}

/** What is said of a batch so far. */
export function batchWords(records, asked) {
  const without = records.filter((record) => record.error).length;
  const copies = records.filter((record) => record.point_verdict === "copy").length;
  const none = without ? `; ${without} without an answer` : "";
  return `${records.length - without} of ${asked} answered, ${copies} ${copies === 1 ? "copy" : "copies"}${none}.`;
}

/** Which channel accepts a match, and whether anything is proved of it; only where there is a companion to tell from. */
export function foundBy(match) {
  const by = { certified: `found by the certified channels, first in ${seen(match.channel)}`, companion: `found by the companion ${seen(match.channel)} alone: not proved` };
  return by[match.tier] || "";
}

const REASONS = { reference: "a reference set", calibrated: "calibration", "leave-one-out": "the rule of an earlier version" };

/** Why there is no certificate, and what else a companion has to say; empty for neither. */
export function withheldWords(record) {
  if (record.error) return "";
  const why = record.withheld ? [`No certificate is given: ${record.withheld}.`] : [];
  const said = record.companion && !record.companion.names_copy ? [`${record.companion.words[0].toUpperCase()}${record.companion.words.slice(1)}.`] : [];
  return [...why, ...said].join(" ");
}

/** What the first match owes to its channel; the one that ranks an item need not be the one whose threshold accepts it. */
function byWords(record, first) {
  if (first.tier === "companion") return "Decided by";
  const refused = record.verdict === "not-a-copy" && !record.silenced_by?.length && !record.matches.some((match) => match.accepted);
  const unheard = record.companion && !record.companion.answered ? " certified" : "";
  return refused ? `Every${unheard} channel refuses all stored images; the nearest is ranked by` : "Ranked first by";
}

export function decidedWords(record) {
  const first = record.matches?.[0];
  if (!first) return "";
  const kind = { certified: "certified channel", companion: "companion" }[first.tier] || "channel";
  const views = [first.view === "original" ? "" : `, stored view ${seen(first.view)}`, (first.query_view ?? "original") === "original" ? "" : `, ${seen(first.query_view)} of the image`];
  const alone = first.tier === "companion" ? " alone: not proved" : "";
  const threshold = (record.thresholds || []).find((one) => one.channel === first.channel);
  const source = threshold?.source ? ` Its threshold comes from ${REASONS[threshold.source] || threshold.source}.` : "";
  const proof = record.certificate;
  const how = proof ? ` Exact over ${proof.rows_scanned} of ${proof.rows_total} rows.` : "";
  return `${byWords(record, first)} the ${kind} ${seen(first.channel)}${views.join("")}${alone}.${source}${how}`;
}

export function limitWords(record) {
  const rival = record.matches.find((match) => match.id === record.certificate.limited_by);
  return rival ? `${nameOf(rival)}, the first that could overtake it` : `item ${record.certificate.limited_by}`;
}

export function whyWords(said) {
  const part = said.part === null ? "" : `${(100 * said.part).toFixed(1)} % of the way to its nearest unrelated picture`;
  const limit = said.neighbour?.kind ? `, a ${said.neighbour.kind} of the reference set` : "";
  return part ? `${part}${limit} (${said.channel})` : said.channel;
}

export const short = (x) => Number(x.toPrecision(4));
/** Toward the inside of what is proved. */
export const within = (reach) => {
  const step = (x, sign) => {
    const text = x.toPrecision(4);
    return sign * (Number(text) - x) < 0 ? Number(text) + sign * 10 ** (Math.floor(Math.log10(Math.abs(x) || 1)) - 3) : Number(text);
  };
  return [step(reach.low[0], 1), step(reach.high[0], -1)].map(short);
};

/** What is proved of a family, for the verdict. */
export function rangeSentence(family) {
  const reach = family.verdict;
  const [parameter] = family.parameters;
  if (reach.withheld || (!reach.whole && (!reach.low || family.parameters.length !== 1))) return [];
  const [low, high] = reach.whole ? [parameter?.low, parameter?.high].map((x) => x !== undefined && short(x)) : within(reach);
  return [parameter && family.parameters.length === 1 ? `And for every ${family.family} from ${low} to ${high}.` : `And for every edit of ${family.asked}.`];
}

