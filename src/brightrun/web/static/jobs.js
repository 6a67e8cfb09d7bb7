// The list of jobs: finds while one types, counts what is chosen to compare. Without it the form and the links do the same.
import { refreshLive } from "./live.js";
import { watchJobs } from "./notify.js";

const LEAST = 2;
const MOST = 4;
const PAUSE_MS = 250;
const form = document.querySelector("form[data-list-filter]");
const list = document.getElementById(form?.dataset.listFilter);
const bar = document.querySelector("[data-chosen]");
const KEPT = "brightrun:chosen-jobs"; // in this tab, so that one may choose on several pages of the list
const chosen = new Set(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"));

watchJobs();

// Finding

let typing = 0;
form?.querySelector("[data-without-script]")?.setAttribute("hidden", "");
form?.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(find, PAUSE_MS);
});
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});

function find() {
  clearTimeout(typing);
  const asked = new URLSearchParams();
  const now = new URLSearchParams(location.search);
  for (const [name, value] of new FormData(form)) if (value.trim()) asked.set(name, value.trim());
  if (now.get("order") === asked.get("order") && now.has("direction")) asked.set("direction", now.get("direction"));
  history.replaceState(null, "", `/jobs?${asked}`);
  list.dataset.live = `/jobs/list?${asked}`;
  refreshLive();
}

// Choosing: what was chosen stays so while the list is drawn anew, and where a search or the next page hides it.

list?.addEventListener("change", (event) => {
  if (event.target.name !== "job") return;
  if (event.target.checked) chosen.add(event.target.value);
  else chosen.delete(event.target.value);
  tell();
});
document.querySelector("[data-choose-none]")?.addEventListener("click", () => {
  chosen.clear();
  mark();
  tell();
});
list?.addEventListener("brightrun:replaced", mark);
document.getElementById("compare")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = new URLSearchParams([...chosen].map((id) => ["job", id]));
  sessionStorage.removeItem(KEPT);
  location.assign(`/compare?${wanted}`);
});

function mark() {
  for (const box of list.querySelectorAll("input[name=job]")) box.checked = chosen.has(box.value);
}

function tell() {
  sessionStorage.setItem(KEPT, JSON.stringify([...chosen]));
  bar.hidden = chosen.size === 0;
  const enough = chosen.size >= LEAST && chosen.size <= MOST;
  bar.querySelector("[type=submit]").disabled = !enough;
  const number = chosen.size === 1 ? "1 job chosen" : `${chosen.size} jobs chosen`;
  bar.querySelector("[data-chosen-text]").textContent = enough ? number : `${number}; two to four can be compared`;
}

if (bar) {
  mark();
  tell();
}
