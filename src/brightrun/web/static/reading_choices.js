// Choices of how a file is read, as buttons where a refusal offers them. A reading is an object as the API has it:
// {merge_turns: true, part: "train", columns: {Frage: "prompt"}, choose: ["3-9"]}.
import { columnsForm } from "./columns.js";

const MOST_PARTS = 12;
const CHOICES = {
  unreadable: "Leave these records out",
  merge_turns: "Join the turns",
  preference: "Train on the preferred answers",
  reasoning: "Leave the reasoning out",
};

// What a refusal offers; each reads the file again by `again`, with one more choice. What was chosen before stays chosen.
export function offers(details, reading, again) {
  const known = Object.entries(details?.choices ?? {}).filter(([name]) => name in CHOICES);
  const parts = Object.keys(details?.parts ?? {}).slice(0, MOST_PARTS);
  const names = details?.found;
  return [
    ...known.map(([name, value]) => offer(CHOICES[name], () => again({ ...reading, [name]: value }))),
    ...parts.map((part) => offer(`Read ${part}`, () => again({ ...reading, part }))),
    ...(Array.isArray(names) && names.length > 1
      ? [columnsForm(names, details.rows ?? [], reading.columns ?? {}, (columns) => again({ ...reading, columns }))]
      : []),
  ];
}

// What the person can do, without the options of the command line that a hint may name.
export function pageHint(hint) {
  return (hint ?? "").split(/(?<=[.;:]) /).filter((sentence) => !/(^|[ `])--[a-z]/.test(sentence)).join(" ");
}

// As the query of an upload has it.
export function queryOf(reading) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(reading)) {
    if (name === "columns") for (const [column, meaning] of Object.entries(value)) query.append("column", `${column}=${meaning}`);
    else if (Array.isArray(value)) for (const each of value) query.append(name, each);
    else if (value !== null) query.set(name, value);
  }
  return query;
}

function offer(words, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = words;
  button.addEventListener("click", act);
  return button;
}
