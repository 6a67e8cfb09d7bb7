// The form of "Start training": steps, the plan while choosing, wrongs beside their fields, fixes as buttons, one start.
import { clearWrongs, showWrongs } from "./actions.js";
import { ask, Refused } from "./api_client.js";
import { localizeTimes } from "./times.js";

const PAUSE_MS = 450;
const OPTIONAL_COMPUTE = ["gpu_type", "max_cost_usd", "max_duration_hours"];

export function wireStart(root) {
  const form = root.querySelector("form.start");
  localizeTimes(root);
  if (!form || form.dataset.wired) return;
  form.dataset.wired = "yes";
  new StartForm(form);
}

class StartForm {
  constructor(form) {
    this.form = form;
    this.timer = 0;
    this.asked = 0; // number of the newest question; older answers are passed over
    this.waiting = false;
    this.busy = false;
    this.recipe = this.chosen("recipe");
    for (const button of form.querySelectorAll("[data-to], [data-steps]")) button.hidden = false;
    form.addEventListener("click", (event) => this.clicked(event));
    form.addEventListener("input", (event) => this.changed(event));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.step < 3) this.go(this.step + 1);
      else this.start();
    });
    this.fitMachine();
    this.fitValidation();
    this.tellChanged();
    this.go(Number(form.dataset.first), { focus: false });
  }

  // Steps

  go(step, { focus = true } = {}) {
    if (step > 1 && !this.chosen("training_file_id")) {
      this.wrong({ training_file_id: "Choose a dataset first." });
      step = 1;
    }
    const bad = step === 3 && this.form.querySelector('[data-step="2"] [aria-invalid]');
    if (bad) {
      this.form.querySelector("[data-advanced]").open = true;
      bad.focus();
      step = 2;
      focus = false;
    }
    this.step = step;
    for (const part of this.form.querySelectorAll("[data-step]")) part.hidden = Number(part.dataset.step) !== step;
    for (const button of this.form.querySelectorAll("[data-steps] [data-to]")) {
      const to = Number(button.dataset.to);
      button.closest("li").className = to < step ? "done" : to === step ? "now" : "";
      if (to === step) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    }
    const heading = this.form.querySelector(`#start-${step}`);
    if (focus) {
      heading.focus({ preventScroll: true });
      const dialog = this.form.closest("dialog");
      if (dialog) dialog.scrollTop = 0; // a step that is longer than the dialog begins at its heading, too
      else this.form.scrollIntoView({ block: "start" });
    }
    if (step > 1 && !this.asked) this.plan();
  }

  clicked(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.to) this.go(Number(button.dataset.to));
    else if ("asRecipe" in button.dataset) this.asRecipe();
    else if (button.dataset.fix) this.fix(JSON.parse(button.dataset.fix));
  }

  changed(event) {
    const { name } = event.target;
    if (name === "recipe") this.takeRecipe();
    if (name === "provider") this.fitMachine();
    if (name === "validation" || name === "training_file_id") this.fitValidation();
    if (name) clearWrongs(event.target.closest(".field, [data-step]")); // whether it is right now, the next plan says
    this.tellChanged();
    this.unsure();
    clearTimeout(this.timer);
    if (this.chosen("training_file_id")) this.timer = setTimeout(() => this.plan(), PAUSE_MS);
  }

  // What the form says

  chosen(name) {
    return this.form.querySelector(`input[name="${name}"]:checked`)?.value ?? null;
  }

  field(name) {
    return this.form.querySelector(`[name="${CSS.escape(name)}"]:not([type="radio"])`);
  }

  settings() {
    return [...this.form.querySelectorAll("[data-setting]")];
  }

  byRecipe() {
    return JSON.parse(this.form.querySelector('input[name="recipe"]:checked').dataset.settings);
  }

  takeRecipe() {
    const before = JSON.parse(this.form.querySelector(`input[name="recipe"][value="${CSS.escape(this.recipe)}"]`).dataset.settings);
    const now = this.byRecipe();
    for (const field of this.settings()) {
      if (field.value === before[field.name]) field.value = now[field.name]; // what a person changed stays theirs
    }
    this.recipe = this.chosen("recipe");
  }

  asRecipe() {
    const usual = this.byRecipe();
    for (const field of this.settings()) field.value = this.form.dataset.retry ? field.dataset.was : usual[field.name];
    this.clear();
    this.changed({ target: {} });
  }

  tellChanged() {
    const usual = this.byRecipe();
    const against = (field) => (this.form.dataset.retry ? field.dataset.was : usual[field.name]);
    const differing = this.settings().filter((field) => field.value !== against(field) || field.validity.badInput);
    for (const field of this.settings()) field.closest(".field").classList.toggle("is-changed", differing.includes(field));
    const badge = this.form.querySelector("[data-changed]");
    badge.hidden = differing.length === 0;
    badge.textContent = `${differing.length} changed`;
    this.form.querySelector("[data-as-recipe]").hidden = differing.length === 0;
  }

  fitMachine() {
    const machine = this.field("provider").selectedOptions[0];
    for (const part of this.form.querySelectorAll("[data-only]")) {
      const fits = machine.dataset[part.dataset.only === "spot" ? "spot" : "picksGpu"] === "yes";
      part.hidden = !fits;
      for (const field of part.querySelectorAll("select")) field.disabled = !fits;
    }
  }

  // A dataset cannot validate itself, so the one that is trained on is not offered.
  fitValidation() {
    const select = this.field("validation_file_id");
    if (!select) return;
    const own = this.form.querySelector('input[name="validation"][value="own"]');
    for (const option of select.options) option.disabled = option.value === this.chosen("training_file_id");
    const others = [...select.options].filter((option) => !option.disabled);
    if (select.selectedOptions[0]?.disabled) select.value = others[0]?.value ?? "";
    own.disabled = !others.length;
    own.closest(".choice").classList.toggle("is-off", own.disabled);
    if (own.disabled && own.checked) this.form.querySelector('input[name="validation"][value="drawn"]').checked = true;
    this.form.querySelector("[data-own-validation]").hidden = !own.checked;
  }

  compute() {
    const compute = { provider: this.field("provider").value };
    const kind = this.field("instance_type");
    if (kind && !kind.disabled) compute.instance_type = kind.value;
    for (const name of OPTIONAL_COMPUTE) {
      const field = this.field(name);
      const told = field && !field.disabled ? this.typed(field, field.type === "number" ? "number" : "text") : null;
      if (told !== null || this.form.dataset.retry) compute[name] = told;
    }
    return compute;
  }

  typed(field, kind) {
    if (field.validity.badInput) return "not a number";
    const text = field.value.trim();
    if (text === "") return null;
    if (kind === "number") return Number(text);
    return kind === "boolean" ? text === "true" : text;
  }

  differing(against) {
    const told = {};
    for (const field of this.settings()) {
      if (field.value !== against(field) || field.validity.badInput) told[field.name] = this.typed(field, field.dataset.setting);
    }
    return told;
  }

  request() {
    const usual = this.byRecipe();
    const request = {
      training_file_id: this.chosen("training_file_id"),
      base_model: this.field("base_model").value,
      recipe: this.chosen("recipe"),
      hyperparameters: this.differing((field) => usual[field.name]),
      compute: this.compute(),
    };
    if (this.chosen("validation") === "own") request.validation_file_id = this.field("validation_file_id").value;
    const name = this.field("name")?.value.trim();
    return name ? { ...request, name } : request;
  }

  // The plan

  // One question at a time: counting a large dataset takes a while, and what changed meanwhile is asked for afterwards.
  async plan() {
    this.again = true;
    if (this.waiting) return;
    this.waiting = true;
    while (this.again) {
      this.again = false;
      await this.planOnce(++this.asked);
    }
    this.waiting = false;
  }

  async planOnce(number) {
    this.status("Counting tokens and planning…", true);
    try {
      const drawn = await this.review(this.request());
      if (number !== this.asked) return;
      this.clear();
      this.draw(drawn);
    } catch (refused) {
      if (number !== this.asked) return;
      this.clear();
      this.refuse(refused);
      this.status("There is no plan for these settings.", false);
    }
  }

  async review(request) {
    let answer;
    try {
      answer = await fetch("/start/review", {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(request),
      });
    } catch {
      throw new Refused(0, { message: "The studio does not answer.", hint: "Try again in a moment.", code: "offline" });
    }
    if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => null))?.error);
    return new DOMParser().parseFromString(await answer.text(), "text/html").body;
  }

  draw(drawn) {
    const place = this.form.querySelector("[data-review]");
    const open = [...place.querySelectorAll("details")].map((each) => each.open);
    place.replaceChildren(...document.importNode(drawn, true).childNodes);
    place.querySelectorAll("details").forEach((each, index) => (each.open = open[index] ?? false));
    const plan = place.querySelector("[data-plan]");
    const ready = plan?.dataset.mayStart === "yes";
    this.allow(ready);
    const words = ready ? "Everything was checked. This is what it takes:" : plan ? "This can't start yet. Ways to fix it:" : "This can't be planned as it is:";
    this.status(words, false);
  }

  allow(ready) {
    this.ready = ready;
    this.form.querySelector("[data-go]").disabled = !ready || this.busy;
  }

  unsure() {
    this.asked += 1;
    this.allow(false);
    this.form.querySelector("[data-review]").classList.add("is-old");
  }

  status(words, waiting) {
    const place = this.form.querySelector("[data-status]");
    place.textContent = words;
    place.classList.toggle("is-waiting", waiting);
    const review = this.form.querySelector("[data-review]");
    review.setAttribute("aria-busy", String(waiting));
    review.classList.toggle("is-old", waiting);
    if (waiting) this.allow(false);
  }

  fix({ hyperparameters = {}, compute = {}, base_model: model }) {
    const all = { ...hyperparameters, ...compute, ...(model ? { base_model: model } : {}) };
    for (const [name, value] of Object.entries(all)) {
      const field = this.field(name);
      if (field) field.value = value === null ? "" : String(value);
    }
    this.tellChanged();
    this.form.querySelector("#start-3").focus();
    this.unsure();
    this.plan();
  }

  // Wrongs

  clear() {
    clearWrongs(this.form);
    this.form.querySelector("[data-said]").replaceChildren();
  }

  wrong(words) {
    const fields = Object.entries(words).map(([param, message]) => ({ param, message }));
    showWrongs(this.form, { fields, hint: "" });
  }

  refuse(refused) {
    const told = refused.fields.length ? refused.fields : [{ param: refused.param, message: refused.message }];
    const placed = told.filter(({ param }) => this.place(param));
    if (placed.length) showWrongs(this.form, { fields: placed, hint: "" });
    const strays = told.filter((each) => !placed.includes(each));
    const elsewhere = placed.filter(({ param }) => this.place(param).closest("[data-step]").dataset.step !== String(this.step));
    const lines = [...strays.map((each) => each.message), ...elsewhere.map(({ param, message }) => `${this.label(param)}: ${message}`)];
    if (lines.length) this.say(lines, strays.length ? refused.hint : "");
    if (placed.length && this.step === 2) this.form.querySelector("[data-advanced]").open = true;
  }

  place(param) {
    const name = (param ?? "").split(".").at(-1);
    return name ? this.form.querySelector(`[data-wrong="${CSS.escape(name)}"]`) : null;
  }

  label(param) {
    return this.place(param).closest(".field")?.querySelector("label").textContent ?? param;
  }

  say(lines, hint) {
    const notice = document.createElement("div");
    notice.className = "notice bad";
    const text = document.createElement("div");
    for (const line of new Set(lines)) text.append(Object.assign(document.createElement("p"), { textContent: line }));
    if (hint) text.append(Object.assign(document.createElement("p"), { textContent: hint }));
    notice.append(text);
    this.form.querySelector("[data-said]").replaceChildren(notice);
  }

  // The start

  async start() {
    if (this.busy || !this.ready) return;
    this.busy = true;
    const button = this.form.querySelector("[data-go]");
    const words = button.textContent;
    button.disabled = true;
    button.textContent = "Starting…";
    this.clear();
    try {
      location.assign(`/jobs/${encodeURIComponent(await this.send())}`);
    } catch (refused) {
      this.refuse(refused);
      this.busy = false;
      button.textContent = words;
      button.disabled = !this.ready;
    }
  }

  async send() {
    const key = { "idempotency-key": this.form.dataset.key };
    if (!this.form.dataset.retry) return (await ask("POST", "/api/training/start-job", this.request(), key)).training_job_id;
    const changes = { hyperparameters: this.differing((field) => field.dataset.was), compute: this.compute() };
    return (await ask("POST", this.form.dataset.retry, changes, key)).id;
  }
}

const own = document.querySelector("[data-start]");
if (own) wireStart(own);
