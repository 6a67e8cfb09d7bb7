// Lists the conversations of a file, finds them by their titles, and has those that are ticked read as a dataset.
import { ask } from "./api_client.js";

const MOST_SHOWN = 200;
const MOST_LISTED = 100000;
const PAUSE_MS = 120;
const form = document.querySelector("form[data-choose]");
const place = (name) => form.querySelector(`[data-${name}]`);
const number = (count) => count.toLocaleString("en");
const counted = (count) => `${number(count)} conversation${count === 1 ? "" : "s"}`;
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const chosen = new Set();
let conversations = [];
let found = [];
let timer = 0;
let reading = false;

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!reading && chosen.size) read();
  });
  place("find").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, PAUSE_MS);
  });
  place("list").addEventListener("change", ({ target }) => {
    tick(target.value, target.checked);
    count();
  });
  place("all").addEventListener("click", () => tickFound(true));
  place("none").addEventListener("click", () => tickFound(false));
  load();
}

async function load() {
  try {
    const told = await ask("GET", `${form.dataset.choose}/conversations?limit=${MOST_LISTED}`);
    conversations = told.data.map((each) => ({ ...each, words: `${each.title ?? ""}\n${each.id}`.toLowerCase() }));
  } catch (refused) {
    place("shown").textContent = "The conversations cannot be listed.";
    return complain(refused);
  }
  // Of a whole account nothing is ticked: what is private must be left out by default.
  if (form.dataset.whole === "no") for (const each of conversations) if (each.chosen) chosen.add(each.id);
  for (const name of ["find", "all", "none"]) place(name).disabled = false;
  find();
  count();
}

function find() {
  const words = place("find").value.trim().toLowerCase();
  found = words ? conversations.filter((each) => each.words.includes(words) || String(each.number) === words) : conversations;
  place("list").replaceChildren(...found.slice(0, MOST_SHOWN).map(line));
  place("all").textContent = words ? "Choose all found" : "Choose all";
  place("none").textContent = words ? "Choose none found" : "Choose none";
  const many = found.length > MOST_SHOWN ? ` The first ${number(MOST_SHOWN)} are shown; search to see others.` : "";
  place("shown").textContent = (words ? `${counted(found.length)} found.` : `${counted(found.length)} in the file.`) + many;
}

function line(each) {
  const item = document.createElement("li");
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: each.id, checked: chosen.has(each.id) });
  const title = Object.assign(document.createElement("span"), { className: "pick-title", dir: "auto", textContent: each.title ?? `Conversation ${each.number}` });
  const facts = [`${number(each.turns)} message${each.turns === 1 ? "" : "s"}`];
  if (each.created_at) facts.push(day.format(new Date(each.created_at)));
  const more = Object.assign(document.createElement("span"), { className: "quiet small number", textContent: facts.join(", ") });
  label.append(box, title, more);
  item.append(label);
  return item;
}

function tick(id, is) {
  if (is) chosen.add(id);
  else chosen.delete(id);
}

// What the search finds, beyond what is shown of it too.
function tickFound(is) {
  for (const each of found) tick(each.id, is);
  for (const box of place("list").querySelectorAll("input")) box.checked = is;
  count();
}

function count() {
  place("count").textContent = `${number(chosen.size)} of ${number(conversations.length)} chosen`;
  const go = place("go");
  go.textContent = chosen.size ? `Read ${counted(chosen.size)}` : "Read the chosen ones";
  go.disabled = reading || chosen.size === 0;
}

async function read() {
  const whole = form.dataset.whole === "yes";
  const own = form.dataset.choose.split("/").at(-1);
  if (whole && chosen.size === conversations.length) return location.assign(`/datasets/${own}`);
  reading = true;
  complain(null);
  count();
  place("go").textContent = "Reading and checking…";
  try {
    const ids = conversations.filter((each) => chosen.has(each.id)).map((each) => each.id);
    const told = await ask("POST", `${form.dataset.choose}/choose`, { choose: ids, replace: whole });
    location.assign(`/datasets/${encodeURIComponent(told.id)}`);
  } catch (refused) {
    reading = false;
    complain(refused);
    count();
  }
}

function complain(refused) {
  place("message").textContent = refused?.message ?? "";
  place("hint").textContent = refused?.hint ?? "";
  place("wrong").hidden = refused === null;
}
