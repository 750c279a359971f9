"use strict";
// One case: images with window and level, heat maps as the cells that they are, slices by wheel, keys and slider.
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const text = (value) => Number(value.toPrecision(3)).toString().replace("-", "\u2212");
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const rgb = ([red, green, blue], alpha) => `rgb(${red} ${green} ${blue} / ${alpha})`;
  const chosen = (list) =>
    list.filter((of) => ["backbone", "head"].every((key) => byId(key) && of[key] === byId(key).value));

  function heatOf(modality) {
    return chosen(data.heat).find((map) => map.method === byId("method").value && map.modality === modality);
  }

  /** Decode a JPEG image into one byte per pixel. */
  async function decode(address) {
    const image = new Image();
    image.src = address;
    await image.decode();
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height).data;
    const gray = Uint8Array.from({length: pixels.length / 4}, (_, place) => pixels[4 * place]);
    return {gray, columns: image.width, rows: image.height};
  }

  /** Lookup table from gray level to pixel: the linear function of DICOM PS3.3 C.11.2.1.2, 8 bits to 8 bits. */
  function lookUpTable({width, level, invert}) {
    return Uint32Array.from({length: 256}, (_, value) => {
      const share = Math.min(1, Math.max(0, (value - (level - 0.5)) / (width - 1) + 0.5));
      const shown = Math.round(255 * (invert ? 1 - share : share));
      return (0xff000000 | (shown << 16) | (shown << 8) | shown) >>> 0;
    });
  }

  const unchanged = () => ({width: 256, level: 128, invert: false});

  /** A mammogram, or a volume as its slices or its dynamic image. */
  class Panel {
    constructor(root) {
      this.root = root;
      this.part = (role) => root.querySelector(`[data-role="${role}"]`);
      this.canvas = this.part("canvas");
      this.slider = this.part("slice");
      const names = root.id === "dm" ? ["dm"] : ["slices", "dynamic"].filter((name) => data.pictures[name]);
      for (const name of names) Object.assign(data.pictures[name], {gray: unchanged(), decoded: []});
      this.listen();
      this.open(names[0]);
      new ResizeObserver(() => this.draw()).observe(this.canvas);
    }

    get volume() { return this.slider && this.picture === data.pictures.slices; }
    get index() { return this.volume ? this.slider.value - 1 : 0; }

    /** What is in view: first row, end of rows, first column, end of columns, in pixels of the original. */
    get region() { return byId("zoom").checked ? this.picture.box : [0, this.picture.rows, 0, this.picture.columns]; }

    listen() {
      for (const name of ["width", "level"]) {
        this.part(name).addEventListener("input", (event) => this.window({[name]: Number(event.target.value)}));
      }
      this.part("invert").addEventListener("change", (event) => this.window({invert: event.target.checked}));
      this.part("reset").addEventListener("click", () => this.window(unchanged()));
      this.canvas.addEventListener("pointerdown", (event) => {
        if (event.button === 0 && event.pointerType !== "touch") this.canvas.setPointerCapture(event.pointerId);
      });
      this.canvas.addEventListener("pointermove", (event) => {
        const {width, level} = this.picture.gray;
        if (this.canvas.hasPointerCapture(event.pointerId) && event.pointerType !== "touch") {
          this.window({width: width + event.movementX, level: level + event.movementY});
        }
        this.read(event);
      });
      for (const radio of this.root.querySelectorAll('[data-role="picture"]')) {
        radio.addEventListener("change", () => this.open(radio.value));
      }
      if (this.slider) this.listenToSlices();
    }

    listenToSlices() {
      const page = Math.max(1, Math.round(this.slider.max / 10));
      const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity};
      for (const element of [this.canvas, this.slider]) {
        element.addEventListener("keydown", (event) => {
          if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
          event.preventDefault();
          this.go(this.index + steps[event.key]);
        });
      }
      let turned = 0;
      this.canvas.addEventListener("wheel", (event) => {
        if (event.ctrlKey) return;  // the zoom of the browser
        event.preventDefault();
        turned += event.deltaMode ? 40 * Math.sign(event.deltaY) : event.deltaY;
        if (Math.abs(turned) < 40) return;  // touchpads turn in small steps
        this.go(this.index + Math.sign(turned));
        turned = 0;
      }, {passive: false});
      this.slider.addEventListener("input", () => this.go(this.slider.value - 1));
      this.part("strip").addEventListener("click", (event) => {
        const {left, width} = this.part("strip").getBoundingClientRect();
        this.go(Math.round((event.clientX - left - 8) / (width - 16) * (this.slider.max - 1)));
      });
    }

    /** Show a slice, by index from 0, inside the volume. */
    go(index) {
      this.slider.value = Math.min(this.slider.max, Math.max(1, index + 1));
      const radio = this.root.querySelector('[data-role="picture"][value="slices"]');
      if (!radio.checked) radio.checked = true;
      this.open("slices");
    }

    open(name) {
      this.picture = data.pictures[name];
      const [, , first, end] = this.picture.box;
      this.part("marker")?.classList.toggle("left", first > this.picture.columns - end);
      this.window({});
      this.frame();
      this.describe();
      this.load();
    }

    /** Give the canvas the shape of what is in view. */
    frame() {
      const [top, bottom, left, right] = this.region;
      this.part("stage").style.setProperty("--ratio", (right - left) / (bottom - top));
    }

    async load() {
      const {picture, index} = this;
      const decoded = await (picture.decoded[index] ??= decode(picture.frames[index]));
      if (picture !== this.picture || index !== this.index) return;  // meanwhile another one was asked for
      this.shown = decoded;
      this.draw();
    }

    window(change) {
      const gray = Object.assign(this.picture.gray, change);
      gray.width = Math.min(512, Math.max(2, gray.width));
      gray.level = Math.min(255, Math.max(0, gray.level));
      this.part("width").value = gray.width;
      this.part("level").value = gray.level;
      this.part("gray").textContent = `${gray.width}, ${gray.level}`;
      this.part("invert").checked = gray.invert;
      this.draw();
    }

    draw() {
      const {clientWidth, clientHeight} = this.canvas;
      if (!this.shown || !clientWidth) return;
      const {gray, rows, columns} = this.shown;
      const pixels = new ImageData(columns, rows);
      const table = lookUpTable(this.picture.gray);
      const colors = new Uint32Array(pixels.data.buffer);
      for (let place = 0; place < gray.length; place++) colors[place] = table[gray[place]];
      const image = new OffscreenCanvas(columns, rows);
      image.getContext("2d").putImageData(pixels, 0, 0);
      this.canvas.width = Math.round(clientWidth * devicePixelRatio);
      this.canvas.height = Math.round(clientHeight * devicePixelRatio);
      const context = this.canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      const [top, bottom, left, right] = this.region;
      const x = columns / this.picture.columns, y = rows / this.picture.rows;  // shown pixels per pixel of the original
      const part = [left * x, top * y, (right - left) * x, (bottom - top) * y];
      context.drawImage(image, ...part, 0, 0, this.canvas.width, this.canvas.height);
      this.drawHeat(context);
      if (byId("box").checked) this.drawBox(context);
    }

    /** Edges between n cells that tile the crop box, in whole pixels of the canvas, so that none is blurred. */
    edges(n, axis) {
      const [first, end] = this.picture.box.slice(2 * axis), [from, to] = this.region.slice(2 * axis);
      const scale = (axis ? this.canvas.width : this.canvas.height) / (to - from);
      return Array.from({length: n + 1}, (_, k) => Math.round((first - from + (end - first) * k / n) * scale));
    }

    drawHeat(context) {
      const map = heatOf(this.root.id);
      const opacity = map ? byId("opacity").value / 100 : 0;
      if (!opacity) return;
      const rows = this.edges(map.values.length, 0), columns = this.edges(map.values[0].length, 1);
      const border = byId("borders").checked ? Math.ceil(devicePixelRatio) : 0;
      // A dense grid is fainter.
      const paint = rgb([255, 255, 255], Math.min(0.25, (columns[1] - columns[0]) / devicePixelRatio / 64));
      map.values.forEach((line, r) => line.forEach((value, c) => {
        const cell = [columns[c], rows[r], columns[c + 1] - columns[c], rows[r + 1] - rows[r]];
        context.fillStyle = rgb(data.colors[value < 0 ? "falls" : "rises"], opacity * Math.abs(value) / map.full);
        context.fillRect(...cell);
        if (!border) return;
        context.fillStyle = paint;
        context.fillRect(cell[0], cell[1], cell[2], border);
        context.fillRect(cell[0], cell[1] + border, border, cell[3] - border);
      }));
    }

    drawBox(context) {
      const [top, bottom] = this.edges(1, 0), [left, right] = this.edges(1, 1);
      for (const [color, dash, width] of [["black", [], 3], ["#ffe14d", [8, 5], 1.5]]) {
        context.strokeStyle = color;
        context.setLineDash(dash.map((length) => length * devicePixelRatio));
        context.lineWidth = width * devicePixelRatio;
        const inset = context.lineWidth / 2;
        context.strokeRect(left + inset, top + inset, right - left - 2 * inset, bottom - top - 2 * inset);
      }
    }

    /** Say what lies under the pointer. */
    read(event) {
      if (!this.shown) return;
      const {rows, columns, box: [top, bottom, left, right]} = this.picture;
      const place = (offset, length, n) => Math.min(n - 1, Math.max(0, Math.floor(offset / length * n)));
      const [from, to, start, stop] = this.region;
      const row = from + place(event.offsetY, this.canvas.clientHeight, to - from);
      const column = start + place(event.offsetX, this.canvas.clientWidth, stop - start);
      const inside = [place(row + 0.5, rows, this.shown.rows), place(column + 0.5, columns, this.shown.columns)];
      const gray = this.shown.gray[inside[0] * this.shown.columns + inside[1]];
      let said = `Row ${row}, column ${column}. Gray ${gray} of 255.`;
      const map = heatOf(this.root.id);
      if (map && row >= top && row < bottom && column >= left && column < right) {
        const r = place(row + 0.5 - top, bottom - top, map.values.length);
        const c = place(column + 0.5 - left, right - left, map.values[0].length);
        said += ` Heat ${text(map.values[r][c])} (cell ${r + 1}, ${c + 1}).`;
      }
      this.part("readout").textContent = said;
    }

    /** Say which slice it is and what the heat map is. */
    describe() {
      const evidence = chosen(data.evidence)[0];
      let label = this.root.id === "dm" ? "Mammogram" : "Dynamic image";
      if (this.slider) {
        const slice = this.slider.value - 1;
        this.part("number").textContent = `Slice ${slice + 1} of ${this.slider.max}`;
        const said = [this.part("number").textContent];
        if (evidence?.top.length) said.push(`${percent(evidence.shares[slice])} of the evidence under Grad-CAM`);
        if (data.weights) said.push(`weight in the dynamic image ${text(data.weights[slice])} of the largest`);
        this.slider.setAttribute("aria-valuetext", said.join(", "));
        if (this.volume) label = said[0];
        this.part("number").textContent = said.join(", ") + ".";
        this.describeEvidence(evidence, slice);
      }
      this.canvas.setAttribute("aria-label", label);
      this.part("heat").textContent = this.describeHeat();
    }

    describeEvidence(evidence, slice) {
      if (this.evidence !== evidence || !this.bars) {
        this.evidence = evidence;
        const most = evidence ? Math.max(...evidence.shares) || 1 : 1;
        this.bars = (evidence ? evidence.shares : []).map((share, k) => {
          const bar = document.createElement("span");
          const n = evidence.shares.length - 1;
          bar.style.left = `calc(8px + (100% - 16px) * ${k / n})`;  // as the thumb of the slider moves
          bar.style.width = `min(14px, (100% - 16px) / ${n} * 0.7)`;
          bar.style.height = `${100 * share / most}%`;
          bar.classList.toggle("most", evidence.top.includes(k));
          return bar;
        });
        this.part("strip").replaceChildren(...this.bars);
        const buttons = (evidence ? evidence.top : []).map((k) => {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = `Slice ${k + 1} (${percent(evidence.shares[k])})`;
          button.addEventListener("click", () => this.go(k));
          return button;
        });
        let said = evidence ? `Most evidence under Grad-CAM (even: ${percent(1 / this.bars.length)}):` : "No evidence by slice.";
        if (evidence && !evidence.top.length) said = data.none;
        this.part("top").replaceChildren(said, ...buttons);
      }
      this.bars.forEach((bar, k) => bar.classList.toggle("here", k === slice));
    }

    describeHeat() {
      if (!byId("head")) return "";
      const map = heatOf(this.root.id);
      const name = this.root.id === "dm" ? "mammogram" : "volume";
      if (!map) return `The head ${data.heads[byId("head").value]} has no heat map of the ${name}.`;
      const [top, bottom, left, right] = this.picture.box;
      const n = map.values.length, m = map.values[0].length;
      const height = (bottom - top) / n, width = (right - left) / m;
      const size = map.values.flat().map(Math.abs), most = Math.max(...size);
      const r = Math.floor(size.indexOf(most) / m), c = size.indexOf(most) % m;
      const span = (first, length, k) => `${Math.floor(first + length * k)} to ${Math.ceil(first + length * (k + 1)) - 1}`;
      return `Heat map: cell = ${text(height)} \u00d7 ${text(width)} pixels of the original, ${n} \u00d7 ${m} cells. ` +
        (most ? `Strongest ${text(map.values[r][c])} in rows ${span(top, height, r)}, columns ${span(left, width, c)}.`
          : "It is 0 everywhere.");
    }
  }

  const panels = [...document.querySelectorAll(".panel")].map((root) => new Panel(root));

  /** Say what the colors mean, and the largest value of the maps that are shown together. */
  function describeScale() {
    const maps = ["dm", "dbt"].map(heatOf).filter(Boolean);
    byId("legend").textContent = "There is no such heat map.";
    if (!maps.length) return;
    const {falls, rises} = data.colors;
    const [{backbone, head, method, full}] = maps;
    const signed = maps.some((map) => map.values.flat().some((value) => value < 0));
    const below = signed ? `${rgb(falls, 1)}, ${rgb(falls, 0)} 50%, ${rgb(rises, 0)} 50%` : rgb(rises, 0);
    byId("scale").style.backgroundImage = `linear-gradient(to right, ${below}, ${rgb(rises, 1)})`;
    byId("least").textContent = text(signed ? -full : 0);
    byId("most").textContent = text(full);
    const p = data.p[backbone]?.[head];
    const ofHead = p ? ` ${data.heads[head]} of ${backbone}: probability ${p}.` : "";
    byId("legend").textContent = (data.scales[method] ?? "") + (maps.length > 1 ? ` ${data.one_scale}` : "") + ofHead;
  }

  function refresh() {
    if (byId("head")) describeScale();
    for (const panel of panels) { panel.describe(); panel.draw(); }
  }

  for (const id of ["backbone", "head", "method", "borders", "box"]) byId(id)?.addEventListener("change", refresh);
  byId("opacity")?.addEventListener("input", (event) => {
    event.target.setAttribute("aria-valuetext", `${event.target.value} %`);
    for (const panel of panels) panel.draw();
  });
  byId("zoom").addEventListener("change", () => {
    for (const panel of panels) { panel.frame(); panel.draw(); }
  });
  byId("large").addEventListener("change", (event) => {
    document.querySelector(".panels").classList.toggle("large", event.target.checked);
  });
  refresh();
}
