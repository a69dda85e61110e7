// A picture of few pixels, enlarged, on which a person erases or draws; each change goes to the kernel at once.
const SIDE = 224; // screen pixels of the longer side
const PAUSE_MS = 80; // between two messages of one stroke

function render({ model, el }) {
  el.classList.add("reswork-sketch");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "The picture; drag over it to erase or draw");
  const bar = document.createElement("div");
  bar.className = "reswork-sketch-bar";
  const tools = {};
  let tool = "erase";
  for (const [name, label, tip] of [
    ["erase", "Erase", "Drag over the picture to cover a part with its mean colour"],
    ["draw", "Draw", "Drag over the picture to draw in white"],
    ["dark", "Draw dark", "Drag over the picture to draw in black"],
  ]) {
    const button = document.createElement("button");
    button.className = "lm-Widget jupyter-widgets jupyter-button widget-button";
    button.textContent = label;
    button.title = tip;
    button.onclick = () => choose(name);
    tools[name] = button;
    bar.append(button);
  }
  const reset = document.createElement("button");
  reset.className = "lm-Widget jupyter-widgets jupyter-button widget-button";
  reset.textContent = "Restore";
  reset.title = "The picture as it was";
  bar.append(reset);
  const brush = document.createElement("input");
  Object.assign(brush, { type: "range", min: "1", max: "12", value: "4", title: "Width of the brush, in pixels" });
  const label = document.createElement("label");
  label.textContent = "Brush ";
  label.append(brush);
  el.append(canvas, bar, label);

  let [channels, height, width] = [1, 1, 1];
  let picture = new Uint8Array(1); // (H, W, C)
  let mean = [128];
  let down = false;
  let due = null;

  function bytes(name) {
    const view = model.get(name);
    return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  }

  function choose(name) {
    tool = name;
    Object.entries(tools).forEach(([key, button]) => {
      button.classList.toggle("mod-active", key === name);
      button.setAttribute("aria-pressed", String(key === name));
    });
  }

  function take() {
    [channels, height, width] = model.get("size");
    const given = bytes("pixels");
    if (given.length !== channels * height * width) return;
    const edited = bytes("edited");
    picture = edited.length === given.length ? edited : given;
    mean = Array.from({ length: channels }, (_, c) => {
      let sum = 0;
      for (let i = c; i < given.length; i += channels) sum += given[i];
      return Math.round(sum / (height * width));
    });
    draw();
  }

  function draw() {
    canvas.width = width;
    canvas.height = height;
    const scale = SIDE / Math.max(width, height);
    canvas.style.width = `${width * scale}px`;
    canvas.style.height = `${height * scale}px`;
    const shown = new ImageData(width, height);
    for (let i = 0; i < width * height; i += 1) {
      for (let c = 0; c < 3; c += 1) shown.data[4 * i + c] = picture[channels * i + (channels >= 3 ? c : 0)];
      shown.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(shown, 0, 0);
  }

  function send() {
    due = null;
    model.set("edited", new DataView(picture.slice().buffer));
    model.save_changes();
  }

  function stroke(event) {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    const y = ((event.clientY - box.top) / box.height) * height;
    const half = Number(brush.value) / 2;
    for (let row = Math.max(0, Math.round(y - half)); row < Math.min(height, Math.round(y + half)); row += 1) {
      for (let column = Math.max(0, Math.round(x - half)); column < Math.min(width, Math.round(x + half)); column += 1) {
        for (let c = 0; c < channels; c += 1) {
          const value = tool === "erase" ? mean[c] : tool === "draw" ? 255 : 0;
          picture[channels * (row * width + column) + c] = value;
        }
      }
    }
    draw();
    if (due === null) due = setTimeout(send, PAUSE_MS);
  }

  canvas.onpointerdown = (event) => {
    down = true;
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  };
  canvas.onpointermove = (event) => { if (down) stroke(event); };
  canvas.onpointerup = () => { down = false; };
  reset.onclick = () => {
    picture = bytes("pixels");
    draw();
    send();
  };

  choose("erase");
  take();
  model.on("change:pixels", take);
  model.on("change:size", take);
  return () => {
    model.off("change:pixels", take);
    model.off("change:size", take);
    if (due !== null) clearTimeout(due);
  };
}

export default { render };
