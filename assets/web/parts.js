// What the pages' parts share: one object for each mount, its stylesheet, small DOM.
const parts = new WeakMap();

/** Have `Part` live in the component's element: made once, shown anew at every change of the data. */
export async function keep(component, Part, sheet = "builder.css") {
  await styled(sheet);
  let part = parts.get(component.parentElement);
  if (!part) parts.set(component.parentElement, (part = new Part(component.parentElement)));
  part.component = component;
  part.show(component.data);
  return () => setTimeout(() => { // Streamlit may call a cleanup between two updates: gone is what left the document
    if (!part.root.isConnected) parts.delete(component.parentElement);
  }, 300);
}

const sheets = {};
function styled(name) {
  return sheets[name] ??= new Promise((done) => {
    const href = new URL(`./${name}`, import.meta.url).href;
    document.head.append(el("link", { rel: "stylesheet", href, onload: done, onerror: done }));
  });
}

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node) node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export const fill = (words, values) => words.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
