// Which column is the question and which the answer, with the first rows beside it as they would be read with that.
import { ask } from "./api_client.js";

const MEANINGS = { prompt: "The question is", answer: "The answer is", system: "The system prompt is" };
const SPEAKERS = { system: "System prompt", user: "Question", assistant: "Answer" };

// `names` are the columns, `rows` the first few as the studio gave them, `chosen` columns by name; `apply` is given that.
export function columnsForm(names, rows, chosen, apply) {
  const form = element("form", "columns-form");
  const fields = element("div", "columns-fields");
  const preview = element("div", "columns-preview");
  preview.setAttribute("role", "region");
  preview.setAttribute("aria-label", "The first rows as they would be read");
  preview.setAttribute("aria-live", "polite");
  for (const [meaning, words] of Object.entries(MEANINGS)) fields.append(choice(meaning, words, names, chosen));
  fields.append(element("button", "button small", "Read these columns"));
  form.append(fields, preview);
  const shown = new Preview(preview, rows);
  form.addEventListener("change", () => shown.show(columnsOf(form, chosen)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply(columnsOf(form, chosen));
  });
  shown.show(columnsOf(form, chosen));
  return form;
}

function choice(meaning, words, names, chosen) {
  const label = element("label", "");
  const select = document.createElement("select");
  select.name = meaning;
  select.required = meaning !== "system";
  select.append(new Option("", ""), ...names.map((name) => new Option(name, name, false, chosen[name] === meaning)));
  label.append(`${words} `, select);
  return label;
}

// What else was said of columns (a persona, one to ignore) stays as it was.
function columnsOf(form, chosen) {
  const others = Object.entries(chosen).filter(([, meaning]) => !(meaning in MEANINGS));
  const columns = Object.fromEntries(others);
  for (const [meaning, name] of new FormData(form)) if (name) columns[name] = meaning;
  return columns;
}

class Preview {
  constructor(place, rows) {
    this.place = place;
    this.rows = rows;
    this.asked = 0; // number of the newest question; older answers are passed over
  }

  async show(columns) {
    const number = ++this.asked;
    if (!this.rows.length) return this.draw([element("p", "quiet small", "The file has no row to show.")]);
    this.draw(this.asWritten(columns));
    const meanings = Object.values(columns);
    if (!meanings.includes("prompt") || !meanings.includes("answer")) return;
    try {
      const told = await ask("POST", "/api/training/files/rows", { rows: this.rows, columns });
      if (number === this.asked) this.draw(told.data.map((row) => this.row(row.number, row.messages, row.problem)));
    } catch (refused) {
      if (number === this.asked) this.draw([element("p", "problem", refused.message)]);
    }
  }

  // Until both are chosen there is nothing to ask: the texts stand as the file has them.
  asWritten(columns) {
    const byMeaning = Object.fromEntries(Object.entries(columns).map(([name, meaning]) => [meaning, name]));
    return this.rows.map((row, index) => {
      const parts = [["prompt", "user"], ["answer", "assistant"]].map(([meaning, role]) => {
        const name = byMeaning[meaning];
        return { role, content: name === undefined ? null : String(row[name] ?? "") };
      });
      return this.row(index + 1, parts, null);
    });
  }

  row(number, messages, problem) {
    const shown = element("div", "columns-row");
    shown.append(element("h4", "", `Row ${number}`));
    const list = element("dl", "");
    for (const { role, content } of messages) {
      const text = element("dd", content === null ? "quiet" : "", content ?? "not chosen yet");
      text.dir = "auto";
      list.append(element("dt", "", SPEAKERS[role] ?? role), text);
    }
    if (messages.length) shown.append(list);
    if (problem) shown.append(element("p", "problem", `Cannot be read: ${problem}`));
    else if (!messages.length) shown.append(element("p", "quiet small", "Read together with the row before it."));
    return shown;
  }

  draw(nodes) {
    const heading = element("h3", "", this.rows.length > 1 ? `The first ${this.rows.length} rows, read so` : "The first row, read so");
    this.place.replaceChildren(heading, ...nodes);
  }
}

function element(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}
