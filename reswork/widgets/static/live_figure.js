// Draws one plotly figure and redraws it when the kernel sends new numbers. The kernel sends the frame (layout and
// traces without their numbers) once, and then only the numbers, as binary buffers.
function plotly() {
  if (!globalThis.__reswork_plotly) {
    const box = { taken: false };
    box.promise = new Promise((resolve, reject) => Object.assign(box, { resolve, reject }));
    globalThis.__reswork_plotly = box;
  }
  return globalThis.__reswork_plotly.promise;
}

const KINDS = { f4: Float32Array, f8: Float64Array, i4: Int32Array, u1: Uint8Array };

function array([kind, shape, view]) {
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const flat = new KINDS[kind](bytes);
  if (shape.length < 2) return flat;
  const [rows, columns] = shape;
  return Array.from({ length: rows }, (_, r) => flat.subarray(r * columns, (r + 1) * columns));
}

function fill(target, path, value) {
  const last = path.length - 1;
  let place = target;
  path.slice(0, last).forEach((key) => { place = place[key]; });
  place[path[last]] = value;
}

function assemble(model) {
  const frame = structuredClone(model.get("frame"));
  const numbers = model.get("numbers");
  for (const [path, packed] of Object.entries(numbers)) {
    if (path === "revision") continue;
    fill(frame.data, path.split("/"), array(packed));
  }
  return frame;
}

function render({ model, el }) {
  el.classList.add("reswork-figure");
  const plot = document.createElement("div");
  plot.className = "reswork-plot";
  plot.setAttribute("role", "figure"); // not an image: the buttons in it can be reached by the keyboard
  const about = document.createElement("details");
  about.className = "reswork-about";
  const question = document.createElement("summary");
  question.textContent = "What is this?";
  const answer = document.createElement("div");
  about.append(question, answer);
  const summary = document.createElement("p");
  summary.className = "reswork-summary";
  const foot = document.createElement("div");
  foot.className = "reswork-foot";
  foot.append(summary, about);
  el.append(plot, foot);

  let Plotly = null;
  let asked = false;
  let drawing = false;
  let listening = false;
  let gone = false;

  function words() {
    summary.textContent = model.get("summary");
    plot.setAttribute("aria-label", model.get("summary"));
    const text = model.get("about");
    answer.replaceChildren();
    for (const [key, title] of [["what", ""], ["normal", "Normal: "], ["try", "Try: "]]) {
      if (!text[key]) continue;
      const line = document.createElement("p");
      const strong = document.createElement("b");
      strong.textContent = title;
      line.append(strong, text[key]);
      answer.append(line);
    }
    about.hidden = answer.childElementCount === 0;
  }

  function tall() {
    const height = `${model.get("frame").layout?.height || 300}px`;
    if (plot.style.height !== height) plot.style.height = height; // a deeper network has a taller drawing
  }

  async function draw() {
    asked = false;
    if (gone || drawing || !Plotly || plot.clientWidth === 0 || !model.get("frame").data) return;
    drawing = true; // one after the other: Plotly finishes later, and would keep the width of before
    const width = plot.clientWidth;
    const drawn = [model.get("frame"), model.get("numbers")];
    const { data, layout } = assemble(model);
    tall();
    waiting.remove();
    try {
      await Plotly.react(plot, data, { ...layout, width, autosize: false }, { responsive: false, displaylogo: false,
        displayModeBar: "hover", showSendToCloud: false });
    } finally {
      drawing = false;
    }
    plot.dataset.revision = drawn[1].revision;
    if (!listening && plot.on) {
      listening = true;
      plot.on("plotly_click", (event) => {
        const point = event.points[0];
        model.send({ kind: "click", name: String(point.customdata ?? "") });
      });
    }
    const newest = [model.get("frame"), model.get("numbers")];
    if (plot.clientWidth !== width || newest.some((part, place) => part !== drawn[place])) ask();
  }

  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(draw);
  }

  words();
  tall();
  const waiting = document.createElement("p");
  waiting.className = "reswork-waiting";
  waiting.textContent = "loading the plots ...";
  plot.append(waiting);
  model.on("change:frame", ask);
  model.on("change:numbers", ask);
  model.on("change:summary", words);
  model.on("change:about", words);
  const watcher = new ResizeObserver(ask);
  watcher.observe(plot);
  plotly().then((library) => { Plotly = library; ask(); },
    (error) => { plot.textContent = error.message; });

  return () => {
    gone = true;
    watcher.disconnect();
    model.off("change:frame", ask);
    model.off("change:numbers", ask);
    model.off("change:summary", words);
    model.off("change:about", words);
    if (Plotly) Plotly.purge(plot);
  };
}

export default { render };
