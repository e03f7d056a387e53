/**
 * An element with these attributes and children. A text is put in as text, whatever it holds; nothing on this page
 * comes into being in another way. An attribute that is `false` is left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string | number | boolean>>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/**
 * The element of the page that has this id.
 * @template {typeof HTMLElement} Kind
 * @param {string} id
 * @param {Kind} kind
 * @returns {InstanceType<Kind>}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} of id ${id}`);
  return /** @type {InstanceType<Kind>} */ (found);
}

/**
 * Sets a text, and leaves the page alone where it is the same.
 * @param {Element} of
 * @param {string} text
 */
export function say(of, text) {
  if (of.textContent !== text) of.textContent = text;
}
