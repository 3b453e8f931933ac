// Review: pairs judged one by one, with the keyboard. Pairs of the index are kept by the service, those of a batch here.
import { $, ask, askJson, cell, chosen, download, pictureOf, show, state, trouble } from "./page.js";
import { nameOf, seen } from "./words.js";

let pairs = [];
let at = 0;
let judged = []; // of this sitting: { at, kept }
let before = 0;
let told = [];
let waiting = false;

const current = () => pairs[at];
const fromBatch = () => $("source").value === "batch";

export function startReview() {
  $("tab-review").addEventListener("click", () => open("index"));
  $("batch-review").addEventListener("click", () => open("batch"));
  $("source").addEventListener("change", () => open($("source").value));
  for (const relation of ["same", "different"]) $(relation).addEventListener("click", () => judge(relation));
  $("later").addEventListener("click", () => judge(null));
  $("undo").addEventListener("click", undo);
  $("export").addEventListener("click", write);
  addEventListener("keydown", (event) => {
    if ($("view-review").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    const act = { c: () => judge("same"), n: () => judge("different"), s: () => judge(null), u: undo }[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  });
}

async function open(source) {
  show("review");
  trouble(null);
  $("source").value = source;
  [pairs, at, judged, told, before] = [[], 0, [], [], 0];
  $("review-words").textContent = "Looking for pairs…";
  try {
    if (source === "batch") pairs = batchPairs();
    else if (!state.about?.writable) { sayNothing("This service keeps no decisions: it was started without --writable."); return; }
    else await load();
  } catch (error) {
    trouble(error);
    return;
  }
  await display();
}

async function load() {
  const found = await askJson(`v1/review?index=${encodeURIComponent(chosen())}&limit=500`);
  before = found.decided;
  pairs = found.pairs;
}

function batchPairs() {
  const answered = state.batch.filter((one) => one.record && !one.record.error);
  return answered.flatMap(({ file, record }) => record.matches.filter((match) => match.accepted).map((match) => ({ file, match })));
}

function sayNothing(words) {
  $("review-words").textContent = words;
  $("pair").hidden = true;
  enable();
}

function enable() {
  for (const id of ["same", "different", "later"]) $(id).disabled = !current();
  $("undo").disabled = !judged.length;
  $("export").disabled = fromBatch() ? !told.length : !state.about?.writable;
}

/** Show the current pair; that it is there is said last, since only what is seen is judged. */
async function display() {
  $("review-progress").max = Math.max(1, pairs.length);
  $("review-progress").value = at;
  const pair = current();
  if (!pair) {
    const all = before ? ` ${before} were judged before.` : "";
    sayNothing(pairs.length ? `All ${pairs.length} pairs are done.${all}` : `There is no pair to judge.${all}`);
    return;
  }
  await (fromBatch() ? displayMatch(pair) : displayItems(pair));
  $("pair").hidden = false;
  enable();
  $("review-words").textContent = `Pair ${at + 1} of ${pairs.length}`;
}

async function displayMatch(pair) {
  pair.url = pair.url || URL.createObjectURL(pair.file);
  put("one", pair.url, seen(pair.file.name));
  put("other", await pictureOf(pair.match.id, 768), nameOf(pair.match));
  $("pair-words").textContent = "An image of the batch, and what it matches.";
}

async function displayItems(pair) {
  const pictures = await Promise.all([pair.one, pair.other].map((id) => pictureOf(id, 768)));
  for (const [place, id] of [[0, "one"], [1, "other"]]) {
    const item = pair.items[place];
    const size = item ? `, ${item.width}×${item.height} ${item.format}` : "";
    put(id, pictures[place], `${seen(item?.name || `item ${pair[id]}`)}${size}`);
  }
  const near = pair.share === null ? "" : `: ${(100 * pair.share).toFixed(1)} % of how far a copy may be`;
  $("pair-words").textContent = pair.why === "group" ? `In one group${near}.` : "Presumed to be copies: nearer than unrelated pictures of their kind come.";
}

function put(id, url, words) {
  $(id).hidden = !url;
  if (url) $(id).src = url;
  $(id).alt = words;
  $(`${id}-words`).textContent = url ? words : `${words} (this service shows no pictures)`;
}

async function judge(relation) {
  const pair = current();
  if (!pair || waiting) return;
  waiting = true;
  try {
    if (relation && !fromBatch()) {
      const body = JSON.stringify({ one: pair.one, other: pair.other, relation, index: chosen() });
      await askJson("v1/review", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    }
    if (relation && fromBatch()) told.push([pair.file.name, pair.match.path, relation]);
    judged.push({ at, kept: Boolean(relation) });
    at += 1;
    await display();
  } catch (error) {
    trouble(error);
  } finally {
    waiting = false;
  }
}

async function undo() {
  const last = judged.at(-1);
  if (!last || waiting) return;
  waiting = true;
  try {
    if (last.kept && !fromBatch()) await askJson(`v1/review/last?index=${encodeURIComponent(chosen())}`, { method: "DELETE" });
    if (last.kept && fromBatch()) told.pop();
    judged.pop();
    at = last.at;
    await display();
  } catch (error) {
    trouble(error);
  } finally {
    waiting = false;
  }
}

async function write() {
  try {
    const lines = [["image", "copy_of", "relation"], ...told].map((row) => row.map(cell).join(","));
    const text = fromBatch() ? `${lines.join("\n")}\n` : await (await ask(`v1/review.csv?index=${encodeURIComponent(chosen())}`)).text();
    download("decisions.csv", text, "text/csv");
  } catch (error) {
    trouble(error);
  }
}
