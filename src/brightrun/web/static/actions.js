// Forms and buttons that act through the API: data-action="DELETE /api/…", and data-then says what follows:
// "reload", "go:/path" (with {field} of the answer), "refresh" (live regions only). A form's fields become the JSON body:
// data-type="number|boolean|list" on a field gives its type, data-values="off,on" those of a checkbox; an empty field is left out, or null with data-empty="null".
import { ask, toast } from "./api_client.js";
import { refreshLive } from "./live.js";

export function listenForActions() {
  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.action) return;
    event.preventDefault();
    act(event.target, bodyOf(event.target));
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-action]");
    if (button) act(button, undefined);
  });
}

async function act(element, body) {
  const [method, path] = element.dataset.action.split(" ");
  const controls = element.matches("form") ? [...element.querySelectorAll("button, input[type=submit]")] : [element];
  controls.forEach((one) => (one.disabled = true));
  clearWrongs(element);
  try {
    const told = await ask(method, path, method === "DELETE" || element.matches("button") ? undefined : body);
    element.closest("dialog")?.close();
    follow(element.dataset.then ?? "reload", told);
    if (element.dataset.done) toast(element.dataset.done, "good");
  } catch (refused) {
    showWrongs(element, refused);
  } finally {
    controls.forEach((one) => (one.disabled = false));
  }
}

function follow(then, told) {
  if (then === "reload") location.reload();
  else if (then === "refresh") refreshLive();
  else if (then.startsWith("go:")) location.assign(then.slice(3).replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(told[name])));
}

export function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
    const value = valueOf(field);
    if (value !== undefined) body[field.name] = value;
  }
  return body;
}

function valueOf(field) {
  if (field.type === "checkbox") return field.dataset.values ? field.dataset.values.split(",")[field.checked ? 1 : 0] : field.checked;
  const text = field.value.trim();
  if (text === "") return field.dataset.empty === "null" ? null : undefined;
  if (field.dataset.type === "number") return Number(text);
  if (field.dataset.type === "boolean") return text === "true";
  if (field.dataset.type === "list") return text.split(",").map((part) => part.trim()).filter(Boolean);
  return text;
}

export function clearWrongs(root) {
  root.querySelectorAll?.("[data-wrong]").forEach((place) => {
    place.hidden = true;
    place.textContent = "";
  });
  root.querySelectorAll?.("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
}

// Each complaint stands beside its field; what belongs to none is told as a toast.
export function showWrongs(root, refused) {
  const told = refused.fields.length ? refused.fields : [{ param: refused.param, message: refused.message }];
  const strays = [];
  for (const { param, message } of told) {
    const name = (param ?? "").split(".").at(-1);
    const place = name && root.querySelector?.(`[data-wrong="${CSS.escape(name)}"]`);
    if (!place) {
      strays.push(message);
      continue;
    }
    place.textContent = message;
    place.hidden = false;
    root.querySelector(`[name="${CSS.escape(name)}"]`)?.setAttribute("aria-invalid", "true");
  }
  if (strays.length) toast([...new Set(strays), refused.hint].filter(Boolean).join(" "), "bad");
}
