// Takes a file that is dropped or chosen, shows how much has arrived, then that it is being checked, then goes to its report.
import { toast } from "./api_client.js";
import { offers, pageHint, queryOf } from "./reading_choices.js";

const form = document.querySelector("form[data-upload]");
const place = (name) => document.querySelector(`[data-upload-${name}]`);
const ASK_MS = 800;
const MOST_PLACES = 200;
let sending = null;
let last = { file: null, reading: {} };

if (form) {
  const input = form.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files);
    input.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => over(event, true));
  addEventListener("dragleave", (event) => event.relatedTarget === null && over(event, false));
  addEventListener("drop", (event) => {
    over(event, false);
    if (carriesFiles(event)) take(event.dataTransfer.files);
  });
  place("stop").addEventListener("click", () => sending?.abort());
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
}

function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}

// The whole page takes a file: one dropped beside the zone would otherwise be opened instead of the studio.
function over(event, is) {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  form.classList.toggle("over", is && !sending);
}

function take(files) {
  if (sending) return toast("One file at a time: the last one is still on its way.", "bad");
  complain(null);
  const [file] = files;
  if (files.length > 1) return complain({ message: "Give one file at a time." });
  if (file.size === 0) return complain({ message: `${file.name} is empty, or it is a folder.` });
  if (file.size > Number(form.dataset.mostBytes)) {
    return complain({ message: `${file.name} is larger than ${form.dataset.most}.`, hint: "Divide it into smaller files." });
  }
  send(file, {});
}

function send(file, reading) {
  last = { file, reading };
  const carrier = new XMLHttpRequest();
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const body = new FormData();
  // A % in a name would be taken for the beginning of an escape; so such a name is sent escaped as a whole.
  body.append("file", file, file.name.includes("%") ? encodeURIComponent(file.name) : file.name);
  sending = carrier;
  form.toggleAttribute("data-busy", true);
  place("now").hidden = false;
  place("stop").hidden = false;
  tell(`Sending ${file.name}…`, 0);
  carrier.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) tell(null, event.loaded / event.total);
  });
  carrier.upload.addEventListener("load", () => {
    tell(`Reading and checking ${file.name}…`, null);
    place("stop").hidden = true; // it has arrived: stopping now would not undo that
    follow(carrier, id);
  });
  carrier.addEventListener("load", () => end(carrier.status, carrier.response));
  carrier.addEventListener("abort", () => end(-1, null));
  carrier.addEventListener("error", () => end(0, null));
  const query = queryOf(reading);
  carrier.open("POST", query.size ? `${form.dataset.upload}?${query}` : form.dataset.upload);
  carrier.responseType = "json";
  carrier.setRequestHeader("accept", "application/json");
  carrier.setRequestHeader("x-upload-id", id);
  carrier.send(body);
}

// How far the checks are, asked until the upload is answered. Where nobody knows, the bar only shows that work goes on.
async function follow(carrier, id) {
  while (sending === carrier) {
    await new Promise((later) => setTimeout(later, ASK_MS));
    const told = await fetch(`${form.dataset.upload}/uploads/${id}`).catch(() => null);
    const checked = told?.ok ? await told.json() : null;
    if (sending === carrier && checked?.total_bytes) tell(null, checked.done_bytes / checked.total_bytes);
  }
}

function end(status, told) {
  sending = null;
  if (status === 201 && told) {
    tell("Checked. Opening the report…", 1);
    // Of a whole account, what is to be learned is asked first.
    const asks = form.dataset.accountFormats.split(" ").includes(told.format);
    return location.assign(`/datasets/${encodeURIComponent(told.id)}${asks ? "/choose" : ""}`);
  }
  form.toggleAttribute("data-busy", false);
  place("now").hidden = true;
  if (status === 401) return location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  if (status === -1) return toast("Stopped; nothing was kept.");
  if (status === 0) return complain({ message: "The studio did not take the file.", hint: "Is it still running? Try again in a moment." });
  complain(told?.error ?? { message: "The studio did not answer as expected.", hint: "Try again in a moment." });
}

// `part` from 0 to 1, or null where it is not known.
function tell(words, part) {
  if (words !== null) place("words").textContent = words;
  const bar = place("bar");
  if (part === null) bar.removeAttribute("value");
  else bar.value = Math.round(part * 1000);
}

function again(reading) {
  complain(null);
  send(last.file, reading);
}

function complain(error) {
  const problems = error?.details?.problems ?? [];
  place("message").textContent = error?.message ?? "";
  const offered = offers(error?.details, last.reading, again);
  place("hint").textContent = offered.length ? "Choose what is to be done, or repair the file and give it again." : pageHint(error?.hint);
  const texts = problems.slice(1, MOST_PLACES).map(({ place: where, problem }) => `${where}: ${problem}`);
  if (problems.length > MOST_PLACES) texts.push(`and ${(error.details.count - MOST_PLACES).toLocaleString("en")} more`);
  const items = texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  });
  place("places").replaceChildren(...items);
  place("choices").replaceChildren(...offered);
  place("wrong").hidden = error === null;
}
