// Receives plotly.js once for the whole page (gzipped, as one binary buffer) and leaves a promise of it on
// globalThis; every live figure of the page waits for that promise, whichever of them comes first.
function shared() {
  if (!globalThis.__reswork_plotly) {
    const box = { taken: false };
    box.promise = new Promise((resolve, reject) => Object.assign(box, { resolve, reject }));
    globalThis.__reswork_plotly = box;
  }
  return globalThis.__reswork_plotly;
}

async function load(buffer) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser is too old for live plots: it needs DecompressionStream (2023 or newer).");
  }
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  const text = await new Response(stream).text();
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.onload = resolve;
    script.onerror = () => reject(new Error("plotly.js could not be loaded"));
    script.src = url;
    document.head.appendChild(script);
  });
  URL.revokeObjectURL(url);
  return globalThis.Plotly;
}

// ipywidgets gives the handles of its sliders no name, so that a screen reader would say "slider" alone.
function nameSliders(panel) {
  for (const handle of panel.querySelectorAll(".noUi-handle:not([aria-label])")) {
    const slider = handle.closest(".widget-slider");
    const label = slider?.querySelector(".widget-label");
    const name = label?.textContent.trim() || label?.title;
    if (name) handle.setAttribute("aria-label", name);
  }
}

function watch(el) {
  const watcher = new MutationObserver(() => nameSliders(panel));
  let panel = null;
  let gone = false;
  function begin() {
    panel = el.closest(".reswork");
    if (panel) {
      nameSliders(panel);
      watcher.observe(panel, { childList: true, subtree: true });
    } else if (!gone) requestAnimationFrame(begin); // not on the page yet
  }
  begin();
  return () => { gone = true; watcher.disconnect(); };
}

export default {
  initialize({ model }) {
    const box = shared();
    if (box.taken) return;
    box.taken = true;
    const source = model.get("source");
    load(source.buffer ? source : new Uint8Array(source)).then(box.resolve, box.reject);
  },
  render: ({ el }) => watch(el),
};
