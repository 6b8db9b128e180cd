// The view of training: batches with their verdicts and reports, what is live, and changing that where the key may.

import { byId, formatMoment, formatNumber, make, makeButton, makeText } from "./dom.js";

const MOST = 50;
const POLL_MS = 5_000;
const FIGURES = { macro_f1: "macro-F1", micro_f1: "micro-F1", exact_match: "exact match" };

/** Batches and versions. `shell` says things, reports errors, asks for reasons and knows the key's scopes. */
export class TrainingView {
  #api; #shell; #timer; #isLoading = false;

  constructor(api, shell) {
    this.#api = api;
    this.#shell = shell;
    byId("roll-back").onclick = () => this.#rollBack();
    byId("close-report").onclick = () => this.#closeReport();
    byId("train-form").onsubmit = (event) => { event.preventDefault(); this.#train(); };
    byId("roll-back").hidden = !shell.may("promote");
    byId("train-form").hidden = !shell.may("train");
  }

  /** Show the view, and look again while a batch runs. */
  async open() {
    this.#timer ??= setInterval(() => document.hidden || this.#poll(), POLL_MS);
    await this.#shell.attempt(() => this.#load());
  }

  /** Stop what runs in the background. */
  close() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  setIntents() {}

  async #load() {
    const [{ batches }, { versions }] = await Promise.all([this.#api.batches(MOST), this.#api.versions(MOST)]);
    // Only a batch that is described alone tells how far it is; one runs at a time.
    const shown = await Promise.all(batches.map((batch) => (
      isUnderWay(batch) ? this.#api.batch(batch.batch_id) : batch)));
    this.#show(shown, versions);
  }

  /** A look in the background: what goes wrong shows with the next thing that somebody does. */
  async #poll() {
    if (this.#isLoading || document.querySelector("#batches [data-under-way]") === null) return;
    this.#isLoading = true;
    await this.#load().catch(() => {});
    this.#isLoading = false;
  }

  #show(batches, versions) {
    const live = versions.find((version) => version.is_active);
    byId("live").textContent = live
      ? `${live.version} answers, since ${formatMoment(live.activated_at)}; the gate said ${live.verdict}.`
      : "No version that a batch brought forth answers.";
    const byBatch = new Map(versions.map((version) => [version.training_batch_id, version]));
    const cards = batches.map((batch) => this.#makeCard(batch, byBatch.get(batch.batch_id)));
    byId("batches").replaceChildren(...cards.length ? cards : [make("li", {}, "No batch yet.")]);
  }

  #makeCard(batch, version) {
    const card = make("li", {}, make("h3", {}, version?.version ?? `Batch ${batch.batch_id.slice(0, 8)}`, " ",
      ...makeBadges(batch, version)), make("p", { className: "note" }, describeBatch(batch)));
    if (isUnderWay(batch)) card.dataset.underWay = "";
    if (batch.description) card.append(makeText("p", batch.description));
    if (version) card.append(make("p", {}, describeFigures(version.metrics)));
    if (batch.job && isUnderWay(batch)) card.append(...describeJob(batch.job));
    if (batch.error) card.append(makeText("p", batch.error, { className: "problem" }));
    const name = version?.version ?? batch.batch_id;
    const buttons = version ? [makeButton("Report", () => this.#openReport(batch, name),
      { "aria-label": `Report of ${name}` })] : [];
    if (!isUnderWay(batch) && ["created", "failed"].includes(batch.training_status) && this.#shell.may("train")) {
      buttons.push(makeButton("Run", () => this.#run(batch.batch_id), { "aria-label": `Run ${name}` }));
    }
    if (version && !version.is_active && this.#shell.may("promote")) {
      buttons.push(makeButton("Activate…", () => this.#activate(version), { "aria-label": `Activate ${name}` }));
    }
    card.append(make("p", { className: "row" }, ...buttons));
    return card;
  }

  async #openReport(batch, name) {
    await this.#shell.attempt(async () => {
      // The page may be shown, and can do nothing: a frame in a sandbox runs no script and has no origin.
      byId("report-frame").srcdoc = await this.#api.report(batch.batch_id);
      byId("report-title").textContent = `The gate's report of ${name}`;
      byId("report").hidden = false;
      byId("report-title").focus();
    });
  }

  #closeReport() {
    byId("report").hidden = true;
    byId("report-frame").removeAttribute("srcdoc");
    byId("training-title").scrollIntoView({ block: "nearest" });
  }

  async #train() {
    await this.#shell.attempt(async () => {
      const batch = await this.#api.createBatch(byId("recipe").value, byId("description").value);
      byId("description").value = "";
      await this.#run(batch.batch_id);
    });
  }

  /** Run a batch: a new one, or one that could not begin or failed, which goes on where it stopped. */
  async #run(batchId) {
    const hasBegun = await this.#shell.attempt(() => this.#api.runBatch(batchId));
    await this.#load().catch((error) => this.#shell.report(error));
    if (hasBegun) this.#shell.say("Training has begun; nothing is activated by itself.");
  }

  async #activate(version) {
    const passed = version.verdict === "pass";
    const reason = await this.#shell.askReason({ title: `Activate ${version.version}?`, go: "Activate",
      isNeeded: !passed, text: passed ? "The gate passed it. A reason is kept in the history."
        : `The gate did not pass it: ${version.verdict}. Say why it should answer all the same.` });
    if (reason !== null) await this.#switch(() => this.#api.activate(version.version, reason));
  }

  async #rollBack() {
    const reason = await this.#shell.askReason({ title: "Roll back?", go: "Roll back", isNeeded: false,
      text: "The version that answered before answers again. A reason is kept in the history." });
    if (reason !== null) await this.#switch(() => this.#api.rollBack(reason));
  }

  async #switch(send) {
    this.#shell.say("Loading it beside the one that answers now…");
    await this.#shell.attempt(async () => {
      const { active_version: active } = await send();
      await this.#load();
      this.#shell.say(`Version ${active} answers now.`);
    });
  }
}

function isUnderWay(batch) {
  return batch.training_status === "running" || (batch.training_status === "created" && batch.job_id !== null);
}

function makeBadges(batch, version) {
  const badges = version ? [version.verdict, ...(version.is_active ? ["live"] : [])] : [batch.training_status];
  return badges.map((badge) => make("span", { className: `badge ${badge}` }, badge));
}

function describeBatch(batch) {
  const questions = batch.question_count === null ? "" : `; ${batch.question_count} questions`;
  return `${batch.training_status}, recipe ${batch.recipe}${questions}; by ${batch.created_by}, ${
    formatMoment(batch.created_at)}`;
}

function describeFigures(metrics) {
  const known = Object.entries(FIGURES).filter(([name]) => typeof metrics[name] === "number");
  return known.map(([name, words]) => `${words} ${formatNumber(metrics[name], 3)}`).join(", ");
}

function describeJob(job) {
  return [make("progress", { max: 1, value: job.progress ?? 0, "aria-label": "Progress" }),
    make("p", {}, job.step ?? "")];
}
