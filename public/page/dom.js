// Builds the page's elements. Whatever the gateway says becomes text, never markup.

export const byId = (id) => document.getElementById(id);

/**
 * An element with attributes and children. `on...` attributes are listeners, `true` and `false` switch an
 * attribute on and off; children are elements, texts, or nothing.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return made;
}

/** Puts children into a place of the page. Those that it shows already stay, with the focus and what is selected. */
export function show(place, ...children) {
  const next = [...element("div", {}, ...children).childNodes];
  const before = [...place.childNodes];
  next.forEach((node, index) => {
    if (!before[index]) place.append(node);
    else if (!before[index].isEqualNode(node)) before[index].replaceWith(node);
  });
  for (const node of before.slice(next.length)) node.remove();
}

/** A text with `code` between backticks. */
export function marked(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

/** A button that copies `text()` and says so. */
export function copyButton(text, what) {
  const button = element("button", { type: "button", class: "quiet copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    let said = "Copied";
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      said = "Not allowed";
    }
    button.textContent = said;
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

/** A list of terms and what they are; leaves out what is nothing. */
export function facts(list) {
  return element(
    "dl",
    { class: "facts" },
    list
      .filter(([, value]) => value)
      .map(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]),
  );
}
