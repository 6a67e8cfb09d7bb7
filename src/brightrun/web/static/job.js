// The page of a job: tabs and filters that change a live part only, the title's progress, the notification at the end,
// and a retry whose changes are shown before they are sent.
import { refreshLive } from "./live.js";
import { isEnding, notifications, tellEnding, turnOn } from "./notify.js";
import { showWrongs, clearWrongs } from "./actions.js";
import { ask } from "./api_client.js";

const jobId = location.pathname.split("/")[2];
const suffix = document.title.split(" · ").at(-1);
let last = null;

takeNews();
document.addEventListener("brightrun:replaced", takeNews);

function takeNews() {
  const now = document.querySelector(".job-now");
  if (!now) return;
  document.title = `${now.dataset.title} · ${suffix}`;
  const status = now.dataset.status;
  if (last !== null && last !== status && isEnding(status)) ended(status, now.dataset.title);
  last = status;
}

function ended(status, title) {
  for (const region of document.querySelectorAll("[data-live]")) region.dataset.over = "";
  refreshLive();
  tellEnding(jobId, status, title);
  // What may be done with an ended job (try again, before and after) stands in the page's head, which is drawn anew.
  if (!document.querySelector("dialog[open]")) setTimeout(() => location.reload(), 1500);
}

// Tabs

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-part]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const region = document.getElementById(link.dataset.part);
  region.dataset.live = link.dataset.path;
  history.replaceState(null, "", merged(new URL(link.href).searchParams));
  refreshLive();
});

// Filters

const filter = document.querySelector("form[data-filter]");
const applyFilter = () => {
  const region = document.getElementById(filter.dataset.filter);
  const chosen = new URLSearchParams(new FormData(filter));
  region.dataset.live = `${location.pathname}/log?${chosen}`;
  history.replaceState(null, "", merged(chosen));
  refreshLive();
};
filter?.addEventListener("submit", (event) => {
  event.preventDefault();
  applyFilter();
});
filter?.addEventListener("change", applyFilter);

function merged(chosen) {
  const all = new URLSearchParams(location.search);
  for (const [name, value] of chosen) all.set(name, value);
  return `${location.pathname}?${all}`;
}

// Notification at the end

const bell = document.querySelector("[data-notify]");
if (bell) {
  bell.hidden = notifications() !== "off";
  bell.addEventListener("click", async () => (bell.hidden = (await turnOn()) !== "off"));
}

// Retry

const retry = document.querySelector("form[data-retry]");
retry?.addEventListener("input", showChanges);
retry?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = retry.querySelector("[type=submit]");
  button.disabled = true;
  clearWrongs(retry);
  try {
    const body = { hyperparameters: {}, compute: {} };
    for (const { name, value, of } of changes()) body[of][name] = value;
    const job = await ask("POST", retry.dataset.retry, body);
    location.assign(`/jobs/${encodeURIComponent(job.id)}`);
  } catch (refused) {
    showWrongs(retry, refused);
    button.disabled = false;
  }
});

function changes() {
  return [...retry.elements]
    .filter((field) => field.name && field.value.trim() !== field.dataset.was)
    .map((field) => ({ name: field.name, was: field.dataset.was, shown: field.value.trim(), value: typed(field), of: "compute" in field.dataset ? "compute" : "hyperparameters" }));
}

function typed(field) {
  const text = field.value.trim();
  if (text === "") return null;
  if (field.type === "number") return Number(text);
  return text === "true" || text === "false" ? text === "true" : text;
}

function showChanges() {
  const found = changes();
  const table = retry.querySelector("[data-changes]");
  table.hidden = !found.length;
  retry.querySelector("[data-no-changes]").hidden = found.length > 0;
  table.tBodies[0].replaceChildren(
    ...found.map(({ name, was, shown }) => {
      const row = document.createElement("tr");
      for (const text of [name, was || "not set", shown || "not set"]) {
        const cell = document.createElement("td");
        cell.textContent = text;
        row.append(cell);
      }
      return row;
    }),
  );
}
