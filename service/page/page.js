// The page of the service: what the requests answer, for people. No library, nothing from elsewhere.
import { startReview } from "./review.js";
import { batchWords, budgetWords, decidedWords, down, foundBy, limitWords, nameOf, provedAt, provedVerdict, provedWord, radiusWords, rangeSentence, seen, short, verdictWord, verdictWords, whyWords, withheldWords, within } from "./words.js";

export const $ = (id) => document.getElementById(id);
export const state = { about: null, pictures: new Map(), token: sessionStorage.getItem("retr-token") || "", batch: [] };

// ---- requests --------------------------------------------------------------------------------------------------

export class Refused extends Error {}

export async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(state.token ? { Authorization: `Bearer ${state.token}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Refused("The service does not answer. Is it running?");
  }
  if (answer.status === 401) {
    $("token-form").hidden = false;
    $("token").focus();
    throw new Refused("This service asks for a token.");
  }
  if (answer.status === 503) {
    const told = await answer.json().catch(() => ({}));
    throw new Refused(`The service is busy or not ready: ${told.detail || "try again in a moment"}`);
  }
  return answer;
}

export async function askJson(path, options) {
  const answer = await ask(path, options);
  const told = await answer.json().catch(() => ({ detail: `status ${answer.status}` }));
  if (!answer.ok && !Array.isArray(told)) throw new Refused(told.detail || told.error);
  return told;
}

export const chosen = () => $("index").value;

export function form(files, fields) {
  const data = new FormData();
  for (const file of files) data.append("image", file, file.name || "image");
  for (const [name, value] of fields) data.append(name, value);
  if (chosen()) data.append("index", chosen());
  if ($("certified-only").checked) data.append("certified_only", "true");
  return { method: "POST", body: data };
}

export async function pictureOf(id, side = 256) {
  const key = `${chosen()} ${id} ${side}`;
  if (!state.about?.serve_images) return null;
  if (!state.pictures.has(key)) {
    const answer = await ask(`v1/items/${id}/thumbnail?side=${side}&index=${encodeURIComponent(chosen())}`);
    state.pictures.set(key, answer.ok ? URL.createObjectURL(await answer.blob()) : null);
  }
  return state.pictures.get(key);
}

export function trouble(error) {
  $("trouble").textContent = error ? error.message : "";
  $("trouble").hidden = !error;
  if (error && !(error instanceof Refused)) throw error;
}

export function busy(id, words) {
  $(id).textContent = words || "";
  $(id).hidden = !words;
}

export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function node(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// ---- one image -------------------------------------------------------------------------------------------------

let asked = null; // { file, url, record }

async function askAbout(file) {
  show("ask");
  trouble(null);
  busy("busy", "Looking, and proving…");
  try {
    const [record] = await askJson("v1/query", form([file], [["certify", "true"], ["explain", "true"]]));
    showAnswer(file, record);
  } catch (error) {
    $("answer").hidden = true;
    trouble(error);
  } finally {
    busy("busy", "");
  }
}

function showAnswer(file, record) {
  if (asked) URL.revokeObjectURL(asked.url);
  asked = { file, url: URL.createObjectURL(file), record };
  document.body.classList.add("answered");
  $("answer").hidden = false;
  $("query-image").src = $("left").src = asked.url;
  $("query-image").onerror = () => { $("query-image").hidden = true; };
  $("query-image").hidden = false;
  $("query-words").textContent = record.error ? seen(file.name) : `${seen(file.name)}, ${record.width}×${record.height}`;
  $("noisy").hidden = $("compare").hidden = true;
  $("ranges").replaceChildren();
  $("nearest").hidden = $("edited").hidden = Boolean(record.error);
  $("json").disabled = false;
  const radius = record.error ? null : record.copy || record.not_a_copy;
  $("noise").disabled = !radius || !record.matches.length;
  $("proof").hidden = !state.about.serve_proofs || !record.certificate;
  $("edits").querySelector("button").disabled = !record.certificate || Boolean(record.companion);
  $("edits-alone").hidden = !record.companion;
  $("slide").hidden = !radius;
  if (radius) {
    $("eps").max = String(2 * radius.rmse);
    $("eps").step = String(radius.rmse / 500);
    $("eps").value = "1";
  }
  $("withheld").textContent = withheldWords(record);
  $("withheld").hidden = !$("withheld").textContent;
  showNumbers();
  $("verdict").focus();
}

/** All that depends on the unit and on the slider. */
function showNumbers() {
  if (!asked) return;
  const { record } = asked;
  $("verdict").className = `banner ${record.error ? "trouble" : record.verdict}`;
  $("verdict").textContent = [verdictWords(record), ...(asked.ranges || []).flatMap(rangeSentence)].join(" ");
  showSlider();
  $("decided").textContent = decidedWords(record);
  $("limit").textContent = record.certificate?.limited_by ? `First place is limited by ${limitWords(record)}.` : "";
  $("matches").replaceChildren(...(record.matches || []).map((match) => matchNode(match, record)));
}

function showSlider() {
  const { record } = asked;
  const radius = record.error ? null : record.copy || record.not_a_copy;
  if (!radius) return;
  const rmse = Number($("eps").value);
  const holds = provedAt(record, rmse);
  const words = { copy: "a copy", "not-a-copy": "not a copy" }[record.point_verdict];
  $("eps-words").textContent = `${budgetWords(rmse, holds)}: ${holds ? `still ${words}, proved` : "undecided, no proof reaches so far"}`;
  $("eps-words").className = holds ? "" : "undecided";
  $("eps").setAttribute("aria-valuetext", $("eps-words").textContent);
}

function matchNode(match, record) {
  const picture = node("button", { type: "button", className: "picture" });
  picture.setAttribute("aria-label", `Compare with ${nameOf(match)}`);
  const none = node("div", { className: "picture none" }, "no picture");
  const place = node("div", {}, none);
  pictureOf(match.id).then((url) => {
    if (!url) return;
    picture.append(node("img", { src: url, alt: "" }));
    place.replaceChildren(picture);
  }, () => {});
  picture.addEventListener("click", () => compareWith(match));
  const name = node("p", { className: "name" }, nameOf(match));
  if (match.accepted) name.append(node("b", { className: "badge" }, match.tier === "companion" ? "copy, not proved" : "copy"));
  if (match.path !== match.id) name.append(node("span", {}, match.id));
  const words = [name];
  if (foundBy(match)) words.push(node("p", { className: "soft small" }, foundBy(match)));
  if (match.duplicates.length) words.push(node("p", { className: "soft small" }, `and ${match.duplicates.length} more with the same pixels`));
  if (match.explained) words.push(node("p", { className: "soft small" }, whyWords(match.explained)));
  return node("li", { className: "match" }, place, node("div", {}, ...words, barsNode(match, record)));
}

function barsNode(match, record) {
  const bars = node("div", { className: "bars" });
  const most = Math.max(...record.matches.flatMap((one) => [one.copy, one.top1, one.topk]).filter(Boolean).map((one) => one.l2), 0);
  const promises = [["copy of it", match.copy], ["stays first", match.top1], [`in the first ${record.k}`, match.topk]];
  for (const [words, radius] of promises) {
    if (!radius) continue;
    const fill = node("i");
    fill.style.width = `${most ? (100 * radius.l2) / most : 0}%`;
    const bar = node("span", { className: "bar" }, fill);
    bar.setAttribute("aria-hidden", "true");
    bars.append(node("div", { className: "promise" }, node("span", {}, words), bar, node("span", {}, radiusWords(radius))));
  }
  return bars;
}

// ---- compare, noise, edits -------------------------------------------------------------------------------------

let blinking = null;

async function compareWith(match) {
  const url = await pictureOf(match.id, 1024);
  if (!url) return;
  $("right").src = url;
  $("right").alt = $("right-words").textContent = nameOf(match);
  $("compare").hidden = false;
  mode($("compare").querySelector('[aria-pressed="true"]').dataset.mode);
  $("compare").scrollIntoView({ block: "nearest" });
}

function mode(name) {
  clearInterval(blinking);
  for (const button of $("compare").querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === name));
  $("stage").className = `stage ${name === "side" ? "side" : "over"}`;
  $("mix").hidden = $("mix-label").hidden = name !== "overlay";
  const right = $("right").parentElement;
  right.style.opacity = name === "overlay" ? String($("mix").value / 100) : "1";
  if (name === "blink") {
    const slow = matchMedia("(prefers-reduced-motion: reduce)").matches ? 3000 : 700;
    blinking = setInterval(() => { right.style.opacity = right.style.opacity === "1" ? "0" : "1"; }, slow);
  }
}

async function showNoise() {
  const { file } = asked;
  busy("busy", "Making noise…");
  trouble(null);
  try {
    const told = await askJson("v1/noise", form([file], []));
    const verdicts = { copy: "still a copy", "not-a-copy": "still not a copy" };
    $("noisy").replaceChildren(...told.noisy.map((one) => {
      const kind = one.direction === "random" ? "In a random direction" : "In the steepest direction";
      const words = `${kind}: RMSE ${down(one.moved.rmse)} of 255; ${verdicts[one.verdict] || one.verdict}, as proved.`;
      return node("figure", {}, node("img", { src: `data:image/png;base64,${one.png}`, alt: `The image with noise. ${words}` }), node("figcaption", {}, words));
    }));
    $("noisy").hidden = false;
  } catch (error) {
    trouble(error);
  } finally {
    busy("busy", "");
  }
}

async function proveEdits(event) {
  event.preventDefault();
  const { file } = asked;
  busy("edits-busy", "Proving…");
  trouble(null);
  try {
    const fields = $("families").value.split(" ").map((family) => ["against", family]);
    const [record] = await askJson("v1/query", form([file], fields));
    if (record.error) throw new Refused(record.detail);
    asked.ranges = record.against.families;
    $("ranges").replaceChildren(...asked.ranges.map(rangeNode));
    showNumbers();
  } catch (error) {
    trouble(error);
  } finally {
    busy("edits-busy", "");
  }
}

function rangeNode(family) {
  const reach = family.verdict;
  const [parameter] = family.parameters;
  let words = "nothing is proved";
  if (reach.withheld) words = `not tried: ${reach.withheld}`;
  else if (reach.whole) words = "proved for every one";
  else if (reach.low) words = `proved from ${within(reach).join(" to ")}`;
  else if (reach.share > 0) words = `proved for ${Math.floor(100 * reach.share)} % of them`;
  const title = node("p", {}, node("strong", {}, family.asked), ` ${words}`);
  const found = node("div", { className: "range" }, title);
  if (parameter && parameter.high > parameter.low) {
    const fill = node("i");
    const place = (x) => (100 * (x - parameter.low)) / (parameter.high - parameter.low);
    const [low, high] = reach.whole ? [0, 100] : reach.low ? [place(reach.low[0]), place(reach.high[0])] : [0, 0];
    fill.style.left = `${low}%`;
    fill.style.width = `${high - low}%`;
    const bar = node("div", { className: "bar" }, fill);
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `${family.family}: ${words}`);
    found.append(bar, node("div", { className: "ends" }, node("span", {}, `${parameter.name} ${short(parameter.low)}`), node("span", {}, String(short(parameter.high)))));
  }
  const stop = reach.stops?.[0];
  if (stop) found.append(node("p", { className: "soft small" }, `No proof was found at ${stop.at}: ${stop.because}.`));
  return found;
}

// ---- several images --------------------------------------------------------------------------------------------

async function askAll(files) {
  show("batch");
  trouble(null);
  state.batch = files.map((file) => ({ file, record: null }));
  const body = $("batch-table").querySelector("tbody");
  body.replaceChildren();
  const progress = $("batch-progress");
  Object.assign(progress, { hidden: false, max: files.length, value: 0 });
  try {
    const several = Math.min(8, state.about?.max_images ?? 8);
    for (let at = 0; at < files.length; at += several) {
      const part = state.batch.slice(at, at + several);
      const records = await askJson("v1/query", form(part.map((one) => one.file), [["certify", "true"], ["k", "5"]]));
      part.forEach((one, place) => { one.record = records[place]; body.append(rowNode(one)); });
      progress.value = at + part.length;
      $("batch-words").textContent = batchWords(state.batch.flatMap((one) => one.record || []), files.length);
    }
    $("csv").disabled = $("batch-review").disabled = false;
  } catch (error) {
    trouble(error);
  }
}

function batchCells({ file, record }) {
  if (record.error) return [file.name, "no answer", record.detail, ""];
  const best = record.matches.find((match) => match.accepted);
  return [file.name, verdictWord(record), best ? nameOf(best) : "", provedWord(record)];
}

function rowNode(one) {
  const [name, verdict, of, proved] = batchCells(one);
  const look = node("button", { type: "button" }, seen(name));
  look.addEventListener("click", () => { show("ask"); showAnswer(one.file, one.record); });
  return node("tr", {}, node("td", {}, look), node("td", { className: one.record.verdict === "copy" ? "copy" : "" }, verdict), node("td", {}, of), node("td", {}, proved));
}

/** A cell that a spreadsheet does not take for a formula. */
export const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

function batchCsv() {
  const head = ["image", "verdict", "as_it_is", "match", "match_id", "channel", "tier", "proved", "radius_rmse", "radius_l2", "psnr_at_least", "snapshot", "withheld", "error", "detail"];
  const rows = state.batch.filter((one) => one.record).map(({ file, record }) => {
    const best = record.matches.find((match) => match.accepted);
    const radius = record.copy || record.not_a_copy;
    return [file.name, record.verdict, record.point_verdict, best?.path, best?.id, best?.channel, best?.tier, provedVerdict(record), radius?.rmse, radius?.l2, radius?.psnr, record.snapshot, record.withheld, record.error, record.detail];
  });
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

// ---- the frame -------------------------------------------------------------------------------------------------

export function show(name) {
  for (const view of ["ask", "batch", "review"]) {
    $(`view-${view}`).hidden = view !== name;
    $(`tab-${view}`).setAttribute("aria-pressed", String(view === name));
  }
  if (name !== "ask") clearInterval(blinking);
}

function take(files) {
  const images = [...files];
  if (images.length === 1) askAbout(images[0]);
  else if (images.length > 1) askAll(images);
}

async function about() {
  try {
    state.about = await askJson("v1/index");
  } catch (error) {
    trouble(error);
    return;
  }
  const names = Object.keys(state.about.indexes);
  $("index").replaceChildren(...names.map((name) => node("option", { value: name }, seen(name))));
  aboutIndex();
}

function aboutIndex() {
  const one = state.about.indexes[chosen()];
  const certified = one.uncertified_because ? ", uncertified" : "";
  const beside = one.companion ? `, companion ${one.companion}` : "";
  $("facts").textContent = one.ready ? seen(`${one.items} images, ${one.model}${certified}${beside}`) : `not ready: ${one.because}`;
  $("alone").hidden = !one.companion;
  if (!one.companion) $("certified-only").checked = false;
  if (!one.ready) setTimeout(about, 1500);
}

function start() {
  $("file").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
  $("files").addEventListener("change", (event) => { if (event.target.files.length) askAll([...event.target.files]); event.target.value = ""; });
  addEventListener("paste", (event) => take(event.clipboardData.files));
  addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  addEventListener("dragleave", () => $("drop").classList.remove("over"));
  addEventListener("drop", (event) => { event.preventDefault(); $("drop").classList.remove("over"); take(event.dataTransfer.files); });
  for (const view of ["ask", "batch"]) $(`tab-${view}`).addEventListener("click", () => show(view));
  $("unit").addEventListener("change", showNumbers);
  $("eps").addEventListener("input", showSlider);
  $("noise").addEventListener("click", showNoise);
  $("edits").addEventListener("submit", proveEdits);
  $("json").addEventListener("click", () => download("answer.json", JSON.stringify(asked.record, null, 2), "application/json"));
  $("proof").addEventListener("click", async () => {
    try { download("proofs.json", JSON.stringify(await askJson("v1/prove", form([asked.file], [])), null, 2), "application/json"); } catch (error) { trouble(error); }
  });
  for (const button of $("compare").querySelectorAll("[data-mode]")) button.addEventListener("click", () => mode(button.dataset.mode));
  $("mix").addEventListener("input", () => mode("overlay"));
  $("csv").addEventListener("click", () => download("batch.csv", batchCsv(), "text/csv"));
  $("index").addEventListener("change", aboutIndex);
  $("certified-only").addEventListener("change", () => { if (asked && !$("view-ask").hidden) askAbout(asked.file); });
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    state.token = $("token").value.trim();
    sessionStorage.setItem("retr-token", state.token);
    $("token-form").hidden = true;
    trouble(null);
    about();
  });
  startReview();
  about();
}

start();
