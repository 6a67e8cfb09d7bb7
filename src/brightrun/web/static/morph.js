// Makes the children of one element like those of another with the fewest changes, so that focus, selection, scroll
// and open details survive. Children with an id are matched by it, others by their place and kind.
export function morph(old, drawn) {
  const wanted = [...drawn.childNodes];
  const named = new Map();
  for (const child of old.children) if (child.id) named.set(child.id, child);
  let place = old.firstChild;
  for (const next of wanted) {
    let match = next.id ? named.get(next.id) : place;
    if (match && (match.id || "") !== (next.id || "")) match = null;
    if (!match || match.nodeType !== next.nodeType || match.nodeName !== next.nodeName) {
      old.insertBefore(next, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    alike(match, next);
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

function alike(old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  if (old.isEqualNode(next) || old.hasAttribute("data-keep")) return;
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !keeps(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (old.getAttribute(name) !== value && !keeps(old, name)) old.setAttribute(name, value);
  }
  if (old.matches("input, select, textarea")) return; // what a person typed is theirs
  morph(old, next);
}

function keeps(element, name) {
  return (name === "open" && element.matches("details, dialog")) || (name === "hidden" && element.hasAttribute("data-keep-hidden")) || (name === "aria-selected" && element.matches("[role=tab]"));
}
