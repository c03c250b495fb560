/* What the page shows: state, controls, charts. Numbers come from `Model`. */
(() => {
  const $ = id => document.getElementById(id);
  const model = new Model(JSON.parse($("header").textContent), unpack($("values").textContent));
  const START = "grpo"; // the origin of the plane, to which everything is compared

  // --- state, and its form in the address ------------------------------------------------------------------------
  const state = {
    choice: {asymmetry: -0.6, tilt: 0}, size: model.sizes.includes(8) ? 8 : model.sizes[0],
    population: model.start, shift: 0, rate: 1, k: 256, by: "steps", omega: 0.5, angle: 120, group: "10000000",
  };
  const RATES = [0.25, 0.5, 1, 2, 4];

  function clean(number, low, high, otherwise) {
    return Number.isFinite(number) ? Math.max(low, Math.min(high, number)) : otherwise;
  }

  function readAddress() {
    const said = new URLSearchParams(location.hash.slice(1));
    const number = (key, low, high) => clean(said.has(key) ? parseFloat(said.get(key)) : NaN, low, high, state[key]);
    const among = (key, allowed) => (allowed.includes(number(key, -1e9, 1e9)) ? number(key, -1e9, 1e9) : state[key]);
    state.size = among("size", model.sizes);
    const named = model.populations.findIndex(p => p.name === said.get("population"));
    if (named >= 0) state.population = named;
    state.shift = number("shift", -4, 4);
    state.rate = among("rate", RATES);
    state.k = among("k", model.ks);
    state.omega = nearestOmega(number("omega", 0, 1));
    state.angle = model.angle.degrees[angleIndex(number("angle", 0, 180))];
    if (["steps", "progress"].includes(said.get("by"))) state.by = said.get("by");
    if (/^[01]+$/.test(said.get("group") || "")) state.group = said.get("group");
    const [asymmetry, tilt] = (said.get("at") || "").split(",").map(parseFloat);
    if (model.names(state.size).includes(said.get("estimator"))) state.choice = {name: said.get("estimator")};
    else if (Number.isFinite(asymmetry + tilt)) state.choice = member(asymmetry, tilt);
    document.body.classList.toggle("embed", said.has("embed"));
    fitGroup();
  }

  function address() {
    const {choice, size, population, shift, rate, k, by, omega, angle, group} = state;
    const where = choice.name ? {estimator: choice.name} : {at: `${round(choice.asymmetry, 3)},${round(choice.tilt, 3)}`};
    const embed = document.body.classList.contains("embed") ? {embed: 1} : {};
    return "#" + new URLSearchParams({...where, size, population: model.populations[population].name, shift: round(shift, 1), rate, k, by, omega, angle, group, ...embed})
      .toString().replaceAll("%2C", ",");
  }

  let waiting = 0;
  function writeAddress() { // browsers allow few changes of the address in a second
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState(null, "", address()), 200);
  }

  const round = (x, digits) => +x.toFixed(digits) + 0;
  const nearestOmega = w => model.omegas.reduce((a, b) => (Math.abs(b - w) < Math.abs(a - w) ? b : a));
  const angleIndex = degrees => Math.round(degrees / 180 * (model.angle.degrees.length - 1));
  const reach = model.tilts[model.tilts.length - 1];
  const member = (asymmetry, tilt) => ({asymmetry: clean(asymmetry, -1, 1, 0), tilt: clean(tilt, -reach, reach, 0)});
  const fitGroup = () => { state.group = (state.group + "0".repeat(64)).slice(0, state.size); };
  const label = choice => (choice.name ? model.byName[choice.name].label : "Your estimator");
  const isOrigin = choice => choice.name === START || (choice.asymmetry === 0 && choice.tilt === 0);

  // --- numbers as text, colours, marks -----------------------------------------------------------------------------
  const signed = (x, digits = 2) => (round(x, digits) > 0 ? "+" : round(x, digits) < 0 ? "−" : "") + Math.abs(x).toFixed(digits);
  const plain = (x, digits = 2) => (round(x, digits) < 0 ? "−" : "") + Math.abs(x).toFixed(digits);
  const tick = x => (Math.abs(x) < 1e-9 ? "0" : String(round(x, 4)).replace("-", "−"));
  let ink = {};
  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["paper", "ink", "muted", "line", "grid", "accent", "up", "down"]) ink[name] = style.getPropertyValue("--" + name).trim();
  }
  const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
  const hex = parts => "#" + parts.map(x => Math.round(x).toString(16).padStart(2, "0")).join("");
  function mix(a, b, share) {
    const [x, y] = [rgb(a), rgb(b)];
    return hex(x.map((v, i) => v + share * (y[i] - v)));
  }
  const bright = color => rgb(color).reduce((a, b) => a + b) / 765;
  /* The colour of an estimator in figures, drawn towards the ink where it would vanish on this paper. */
  const paint = color => (color === "#000000" ? ink.ink : Math.abs(bright(color) - bright(ink.paper)) < 0.45 ? mix(color, ink.ink, 0.5) : mix(color, ink.ink, 0.08));
  const escape = text => text.replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c]));

  function mark(kind, x, y, r, attributes) {
    if (kind === "s") return `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}" ${attributes}/>`;
    const corners = {"^": [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]], D: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]]}[kind];
    if (!corners) return `<circle cx="${x}" cy="${y}" r="${r}" ${attributes}/>`;
    return `<polygon points="${corners.map(([a, b]) => `${x + a * r},${y + b * r}`).join(" ")}" ${attributes}/>`;
  }

  function ticks(low, high, count = 4) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 2.5, 5, 10].find(f => f * power >= rough - 1e-12);
    const all = [];
    for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + 1e-9 * step; t += step) all.push(t);
    return all;
  }

  // --- a line chart -------------------------------------------------------------------------------------------------
  /* series: {x, y, color, width, dash, label, at: "start" | "end", dy}. */
  function chart(svg, {title, x, series, xlim, ylim, xticks, log, zero, rule, alt}) {
    const width = svg.clientWidth || 400, height = Math.max(190, Math.min(250, width * 0.62));
    const left = 44, right = 12, top = 26, bottom = 36;
    const fx = log ? Math.log : v => v;
    if (!ylim) {
      const all = series.flatMap(s => Array.from(s.y).filter(Number.isFinite)).concat(zero ? [0] : []);
      let low = Math.min(...all), high = Math.max(...all);
      const room = 0.08 * (high - low) || 0.5;
      ylim = [low - room, high + room];
    }
    const sx = v => left + (fx(v) - fx(xlim[0])) / (fx(xlim[1]) - fx(xlim[0]) || 1) * (width - left - right);
    const sy = v => height - bottom - (v - ylim[0]) / (ylim[1] - ylim[0]) * (height - top - bottom);
    const parts = [];
    for (const t of ticks(...ylim)) {
      parts.push(`<line x1="${left}" x2="${width - right}" y1="${sy(t)}" y2="${sy(t)}" stroke="${zero && Math.abs(t) < 1e-9 ? ink.muted : ink.grid}"/>`);
      parts.push(`<text x="${left - 6}" y="${sy(t) + 4}" text-anchor="end" fill="${ink.muted}">${tick(t)}</text>`);
    }
    for (const t of xticks || ticks(...xlim)) parts.push(`<text x="${sx(t)}" y="${height - bottom + 16}" text-anchor="middle" fill="${ink.muted}">${tick(t)}</text>`);
    if (rule !== undefined) parts.push(`<line x1="${sx(rule)}" x2="${sx(rule)}" y1="${top}" y2="${height - bottom}" stroke="${ink.muted}" stroke-width="1.5"/>`);
    for (const s of series) {
      let path = "", pen = false;
      for (let i = 0; i < s.x.length; i++) {
        const a = sx(s.x[i]), b = sy(Math.max(ylim[0] - 9, Math.min(ylim[1] + 9, s.y[i])));
        if (Number.isFinite(a + b)) { path += `${pen ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`; pen = true; } else pen = false;
      }
      parts.push(`<path d="${path}" fill="none" stroke="${s.color}" stroke-width="${s.width || 2.4}" stroke-dasharray="${s.dash || "none"}" stroke-linejoin="round"/>`);
    }
    for (const s of series.filter(s => s.label)) {
      const shown = [...s.x.keys()].filter(i => Number.isFinite(s.y[i]));
      const i = shown[Math.round((s.at ?? 1) * (shown.length - 1))];
      const anchor = sx(s.x[i]) > width * 0.6 ? "end" : "start";
      parts.push(`<text x="${sx(s.x[i]) + (anchor === "end" ? -4 : 6)}" y="${Math.max(top + 8, sy(s.y[i]) + (s.dy || -6))}" text-anchor="${anchor}" fill="${s.color}" stroke="${ink.paper}" stroke-width="3" paint-order="stroke" font-weight="600">${s.label}</text>`);
    }
    parts.push(`<text x="${left - 30}" y="14" fill="${ink.ink}" font-size="13" font-weight="600">${title}</text>`);
    parts.push(`<text x="${width - right}" y="${height - 4}" text-anchor="end" fill="${ink.muted}">${x}</text>`);
    finish(svg, width, height, parts, alt || title);
  }

  /* Two curves and the share of their length at which they lie farthest apart, where their labels do not meet. */
  function labelled(mine, theirs, name, from, to) {
    const n = theirs.y.length - 1, shares = Array.from({length: n + 1}, (_, i) => i / n).filter(t => t >= from && t <= to);
    const gap = t => Math.abs(mine.y[Math.round(t * n)] - theirs.y[Math.round(t * n)]);
    const at = shares.reduce((a, b) => (gap(b) > gap(a) ? b : a)), above = mine.y[Math.round(at * n)] >= theirs.y[Math.round(at * n)];
    return [{...theirs, label: "GRPO", at, dy: above ? 16 : -7}, {...mine, label: name, at, dy: above ? -7 : 16}];
  }

  function finish(svg, width, height, parts, alt) {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    svg.setAttribute("font-size", "12");
    svg.setAttribute("font-family", "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", alt);
    svg.innerHTML = parts.join("");
  }

  // --- the plane ------------------------------------------------------------------------------------------------------
  const map = {left: 40, right: 12, top: 12, bottom: 40, width: 400, height: 380};
  const px = a => map.left + (a + 1.08) / 2.16 * (map.width - map.left - map.right);
  const py = t => map.top + (reach + 0.05 - t) / (2 * reach + 0.1) * (map.height - map.top - map.bottom);
  const unpx = x => (x - map.left) / (map.width - map.left - map.right) * 2.16 - 1.08;
  const unpy = y => reach + 0.05 - (y - map.top) / (map.height - map.top - map.bottom) * (2 * reach + 0.1);
  let dots = [];

  function drawPlane() {
    const svg = $("plane");
    map.width = svg.clientWidth || 400;
    map.height = Math.max(300, Math.min(0.86 * map.width, document.body.classList.contains("embed") ? 330 : 560));
    const parts = [], box = [px(-1), px(1), py(reach), py(-reach)];
    if (field.picture) parts.push(`<image href="${field.picture}" x="${box[0]}" y="${box[2]}" width="${box[1] - box[0]}" height="${box[3] - box[2]}" preserveAspectRatio="none" opacity="0.75"/>`);
    for (const t of [-1, -0.5, 0, 0.5, 1]) {
      parts.push(`<line x1="${px(t)}" x2="${px(t)}" y1="${box[2]}" y2="${box[3]}" stroke="${t ? ink.line : ink.muted}" stroke-width="${t ? 0.6 : 1}"/>`);
      parts.push(`<text x="${px(t)}" y="${map.height - map.bottom + 16}" text-anchor="middle" fill="${ink.muted}">${tick(t)}</text>`);
    }
    for (const t of [-0.4, -0.2, 0, 0.2, 0.4]) {
      parts.push(`<line x1="${box[0]}" x2="${box[1]}" y1="${py(t)}" y2="${py(t)}" stroke="${t ? ink.line : ink.muted}" stroke-width="${t ? 0.6 : 1}"/>`);
      parts.push(`<text x="${map.left - 6}" y="${py(t) + 4}" text-anchor="end" fill="${ink.muted}">${tick(t)}</text>`);
    }
    dots = model.names(state.size).map(name => {
      const [a, t] = model.place({name}, state.size, state.omega);
      return {...model.byName[name], x: px(a), y: py(t), a, t};
    }).filter(d => Number.isFinite(d.a + d.t) && Math.abs(d.t) <= reach + 0.05);
    const named = dots.filter(d => d.beside);
    for (const d of dots) {
      if (!d.beside) parts.push(mark(d.marker, d.x, d.y, 3.2, `fill="${paint(d.color)}" stroke="${ink.paper}" stroke-width="1"`));
    }
    for (const d of named) parts.push(mark(d.marker, d.x, d.y, 5.5, `fill="${paint(d.color)}" stroke="${ink.paper}" stroke-width="1.5"`));
    const taken = [];
    for (const d of named) {
      const [anchor, dx, dy] = d.beside, long = 7.2 * d.label.length;
      const inside = anchor === "end" ? Math.max(d.x + dx, long + 2) : Math.min(d.x + dx, map.width - long);
      const box = y => { const left = anchor === "end" ? inside - long : inside; return [left, y - 11, left + long, y + 3]; };
      const free = y => taken.every(b => b[0] > box(y)[2] || b[2] < box(y)[0] || b[1] > box(y)[3] || b[3] < box(y)[1]);
      const y = [d.y + dy, d.y - 10, d.y + 19].find(free);
      if (y === undefined) continue; // the label is still under the pointer and in the list
      taken.push(box(y));
      parts.push(`<text x="${inside}" y="${y}" text-anchor="${anchor}" fill="${paint(d.color)}" stroke="${ink.paper}" stroke-width="3.5" paint-order="stroke" font-weight="600">${escape(d.label)}</text>`);
    }
    const middle = (px(-1) + px(1)) / 2;
    parts.push(`<text x="${middle}" y="${map.height - 6}" text-anchor="middle" fill="${ink.ink}">← wrong ones down   <tspan font-weight="600">asymmetry</tspan>   correct ones up →</text>`);
    parts.push(`<text transform="translate(11 ${(box[2] + box[3]) / 2}) rotate(-90)" text-anchor="middle" fill="${ink.ink}">← easy   <tspan font-weight="600">tilt</tspan>   hard →</text>`);
    finish(svg, map.width, map.height, parts, `The symmetry plane at G = ${state.size}: ${named.map(d => `${d.label} at ${d.a.toFixed(2)}, ${d.t.toFixed(2)}`).join("; ")}`);
    placeRing();
  }

  function placeRing() {
    const [a, t] = model.place(state.choice, state.size, state.omega);
    const ring = $("ring");
    ring.style.left = `${px(a)}px`;
    ring.style.top = `${py(clean(t, -reach - 0.05, reach + 0.05, 0))}px`;
    ring.setAttribute("aria-valuenow", round(a, 2));
    ring.setAttribute("aria-valuetext", `${label(state.choice)}: asymmetry ${plain(a)}, tilt ${plain(t)}`);
  }

  // --- what every point of the plane comes to, filled in while nobody drags ---------------------------------------------
  const ACROSS = 17, UP = 13;
  const field = {key: "", values: new Float64Array(ACROSS * UP), next: 0, picture: "", limit: 0};

  function fieldKey() {
    return JSON.stringify([state.size, state.population, state.shift, state.rate, state.k, state.by, ink.paper]);
  }

  function fillField(deadline) {
    if (!dragging) {
      const end = performance.now() + Math.max(4, Math.min(12, deadline.timeRemaining()));
      while (field.next < ACROSS * UP && performance.now() < end) {
        const i = field.next++;
        const at = member(-1 + 2 * (i % ACROSS) / (ACROSS - 1), reach - 2 * reach * Math.floor(i / ACROSS) / (UP - 1));
        const other = train(at, false);
        field.values[i] = gains(other, reference(), state.by)[model.ks.indexOf(state.k)];
      }
      if (field.next === ACROSS * UP) return paintField();
    }
    later(fillField);
  }

  const later = window.requestIdleCallback ? f => requestIdleCallback(f, {timeout: 400}) : f => setTimeout(() => f({timeRemaining: () => 8}), 30);
  let filling = false;

  function refreshField() {
    if (field.key === fieldKey()) return;
    field.key = fieldKey();
    field.next = 0;
    field.picture = "";
    $("scale").textContent = "Colouring the plane …";
    if (!filling) { filling = true; later(fillField); }
  }

  function paintField() {
    filling = false;
    if (field.key !== fieldKey()) { field.key = ""; return refreshField(); }
    field.limit = Math.max(...field.values.map(Math.abs));
    const canvas = document.createElement("canvas");
    canvas.width = ACROSS; canvas.height = UP;
    const pen = canvas.getContext("2d"), image = pen.createImageData(ACROSS, UP);
    const shown = Math.max(field.limit, 5e-4); // below a twentieth of a point there is nothing to see
    field.values.forEach((v, i) => {
      const share = Math.min(1, Math.abs(v) / shown) ** 0.8;
      const color = rgb(mix(ink.paper, v > 0 ? ink.up : ink.down, 0.85 * share));
      image.data.set([...color, 255], 4 * i);
    });
    pen.putImageData(image, 0, 0);
    field.picture = canvas.toDataURL();
    const when = state.by === "steps" ? "after equal steps" : "at equal progress";
    $("scale").innerHTML = `Colour: pass@${state.k} minus GRPO's ${when}, <b style="color:${ink.up}">blue above</b>, <b style="color:${ink.down}">orange below</b>, strongest ±${(100 * field.limit).toFixed(field.limit < 0.01 ? 2 : 1)} points.`;
    drawPlane();
  }

  // --- training -----------------------------------------------------------------------------------------------------------
  const kept = new Map();
  function train(choice, keep = true) {
    const key = JSON.stringify([choice, state.size, state.population, state.shift, state.rate]);
    if (kept.has(key)) return kept.get(key);
    const made = model.train(choice, state.size, state.population, state.shift, state.rate * model.rate);
    if (keep) { if (kept.size > 20) kept.clear(); kept.set(key, made); }
    return made;
  }
  const reference = () => train({name: START});

  // --- the charts ---------------------------------------------------------------------------------------------------------
  function drawCharts() {
    const {choice, size, k, by, omega} = state;
    const mine = {color: ink.accent, width: 2.6}, theirs = {color: ink.ink, width: 1.3, dash: "5 3"};
    const own = !isOrigin(choice), name = escape(label(choice));
    const [table, grpo] = [choice, {name: START}].map(c => model.advantages(c, size, omega));
    const p = table.map((_, count) => count / size);
    const plus = t => t.map(([a], count) => (count > 0 ? a : NaN)), minus = t => t.map(([, a], count) => (count < size ? a : NaN));
    chart($("advantages"), {
      title: "advantage of a correct and of a wrong rollout", x: "p = K / G of the group", xlim: [0, 1], zero: true,
      series: [
        {x: p, y: plus(grpo), ...theirs}, {x: p, y: minus(grpo), ...theirs},
        {x: p, y: plus(table), ...mine, label: "A+", at: 0.12}, {x: p, y: minus(table), ...mine, label: "A−", at: 0.88, dy: 14},
      ],
      alt: `A+ from ${plus(table)[1].toFixed(2)} at p = 1/${size}; A− to ${minus(table)[size - 1].toFixed(2)} at p = 1 - 1/${size}`,
    });
    const grid = Array.from({length: 81}, (_, i) => (1 - Math.cos(Math.PI * i / 80)) / 2);
    const [slope, plainSlope] = [choice, {name: START}].map(c => model.slope(c, size));
    const curves = [slope, plainSlope].map(f => grid.map(x => f(x, omega)));
    chart($("slope"), {
      title: "expected update, F′(P) ∇P", x: "success P of the prompt", xlim: [0, 1], zero: true,
      series: labelled({x: grid, y: curves[0], ...mine}, {x: grid, y: curves[1], ...theirs}, own ? name : "", 0.2, 0.7),
      alt: `F' of ${label(choice)}: ${slope(0.1, omega).toFixed(2)} at P = 0.1, ${slope(0.9, omega).toFixed(2)} at P = 0.9`,
    });
    const [path, base] = [train(choice), reference()], i = model.ks.indexOf(k);
    const steps = Array.from(path.entropy.keys());
    const along = by === "steps" ? [steps, steps] : [path.pass[0], base.pass[0]];
    const xlim = by === "steps" ? [0, steps.length - 1] : [Math.min(along[0][0], along[1][0]), Math.max(...along[0], ...along[1]) + 1e-6];
    const x = by === "steps" ? "step" : "pass@1 reached";
    const top = k === 1 ? [] : [{x: along[1], y: base.pass[i], ...theirs}, {x: along[0], y: path.pass[i], ...mine, label: `pass@${k}`, at: 0.35}];
    chart($("course"), {
      title: k === 1 ? "pass@1 of the population" : `pass@1 and pass@${k} of the population`, x, xlim, ylim: [0, 1],
      series: [...top, {x: along[1], y: base.pass[0], ...theirs, label: "GRPO", at: 1, dy: 16}, {x: along[0], y: path.pass[0], ...mine, label: "pass@1", at: 0.35, dy: -8}],
      alt: `pass@1 ends at ${path.pass[0].at(-1).toFixed(3)}, GRPO's at ${base.pass[0].at(-1).toFixed(3)}`,
    });
    const difference = gains(path, base, by).map(v => 100 * v);
    const widest = Math.max(...difference.map(Math.abs));
    chart($("gain"), {
      title: `pass@k minus GRPO's, ${by === "steps" ? "equal steps" : "equal progress"}, points`, x: "k", log: true, xlim: [1, model.ks.at(-1)],
      xticks: model.ks.filter((_, j) => j % 2 === 0), zero: true, ...(widest < 0.5 ? {ylim: [-0.6, 0.6]} : {}),
      series: [{x: model.ks, y: difference, ...mine}], alt: `difference ${difference[0].toFixed(1)} points at k = 1, ${difference.at(-1).toFixed(1)} at k = ${model.ks.at(-1)}`,
    });
    chart($("entropy"), {
      title: "entropy of the policy (nats)", x, xlim, zero: true,
      series: labelled({x: along[0], y: path.entropy, ...mine}, {x: along[1], y: base.entropy, ...theirs}, own ? name : "", 0.15, 0.9),
      alt: `entropy ends at ${path.entropy.at(-1).toFixed(3)}, GRPO's at ${base.entropy.at(-1).toFixed(3)}`,
    });
    read(path, base, slope, plainSlope, difference);
  }

  function read(path, base, slope, plainSlope, difference) {
    const {choice, omega, by, k} = state;
    const focus = f => f(0.9, omega) / f(0.1, omega);
    const half = (base.pass[0][0] + 1) / 2;
    const time = one => { const at = reaches(one.pass[0], half); return at === null ? `more than ${model.steps} steps` : `${Math.ceil(at)} steps`; };
    const [mine] = moments(path, base, by);
    const i = model.ks.indexOf(k);
    $("reading").innerHTML =
      `<p><span class="dot">${escape(label(choice))}</span> beside GRPO ${by === "steps" ? `after ${model.steps} steps` : `where both reach pass@1 ${valueAt(path.pass[0], mine).toFixed(3)}`}:
       pass@1 ${signed(difference[0], 1)}, pass@${k} ${signed(difference[i], 1)} points, entropy ${signed(valueAt(path.entropy, mine) - valueAt(base.entropy, moments(path, base, by)[1]))} nats.</p>
       <p>Focus on easy prompts F′(0.9) / F′(0.1): <b>${focus(slope).toFixed(2)}</b> (GRPO ${focus(plainSlope).toFixed(2)}).</p>
       <p>Half of the way from pass@1 ${base.pass[0][0].toFixed(2)} to 1: <b>${time(path)}</b> (GRPO ${time(base)}).</p>`;
  }

  // --- the angle ------------------------------------------------------------------------------------------------------------
  function drawAngle() {
    const {choice, size, angle} = state, {degrees, k, names} = model.angle, at = angleIndex(angle);
    const rows = names.filter(name => name !== choice.name && name in model.tables[size]).map(name => ({name}));
    rows.push(choice);
    const curves = rows.map(one => ({one, y: model.byAngle(one, size)})), of = test => curves.find(c => test(c.one));
    const grpo = of(one => one.name === START), mine = of(one => one === choice);
    const style = one => (one === choice ? {color: ink.accent, width: 2.8} : one.name === START ? {color: ink.ink, width: 1.6, dash: "5 3"} : {color: paint(model.byName[one.name].color), width: 1.3});
    dial(angle);
    chart($("turning"), {
      title: `held-out pass@${k} per training pass@1`, x: "angle between easy and hard (degrees)", xlim: [0, 180],
      xticks: [0, 30, 60, 90, 120, 150, 180], zero: true, rule: angle,
      series: curves.map(({one, y}) => ({x: degrees, y, ...style(one)})),
      alt: `at ${angle} degrees ${curves.map(c => `${label(c.one)} ${plain(c.y[at])}`).join(", ")}`,
    });
    bars($("order"), curves.map(({one, y}) => ({text: label(one), value: y[at], ...style(one)})), `order at ${angle}°`);
    const fall = c => { const where = crossing(degrees, c.y); return where === null ? `${c.y[at] < 0 ? "at every" : "at no"} angle` : `from <b>${where.toFixed(0)}°</b> on`; };
    const turn = grpo === mine ? null : crossing(degrees, mine.y.map((v, i) => v - grpo.y[i]));
    const ahead = c => (c.y[at] > grpo.y[at] ? "more" : "less");
    $("angleread").innerHTML = `<p>GRPO falls below its base policy ${fall(grpo)}${grpo === mine ? "" : `, <span class="dot">${escape(label(choice))}</span> ${fall(mine)}`}.
      ${grpo === mine || isOrigin(choice) ? "" : `At ${angle}° it keeps ${ahead(mine)} held-out pass@${k} than GRPO${turn === null ? ", as at every angle" : `; the order turns at <b>${turn.toFixed(0)}°</b>`}.`}
      Predicted from the base policy alone: ${model.angle.count[0]} hard prompts (success ${model.angle.success[0]}), ${model.angle.count[1]} easy ones (${model.angle.success[1]}), G = ${size}.</p>`;
  }

  /* The two directions in which hard and easy prompts pull. */
  function dial(degrees) {
    const size = 150, middle = 75, arm = 52, arrow = (angle, text, color) => {
      const a = angle * Math.PI / 180, [x, y] = [middle + arm * Math.cos(a), middle - arm * Math.sin(a)];
      const head = [2.75, -2.75].map(turn => `${x + 11 * Math.cos(a + turn)},${y - 11 * Math.sin(a + turn)}`);
      return `<line x1="${middle}" y1="${middle}" x2="${x}" y2="${y}" stroke="${color}" stroke-width="2.5"/><polyline points="${head[0]} ${x},${y} ${head[1]}" fill="none" stroke="${color}" stroke-width="2.5" stroke-linecap="round"/>
        <text x="${middle + (arm + 12) * Math.cos(a)}" y="${middle - (arm + 12) * Math.sin(a) + (angle < 20 && text === "easy" ? -8 : 4) + (text === "hard" ? 10 : 0)}" text-anchor="middle" fill="${color}" font-weight="600">${text}</text>`;
    };
    finish($("dial"), size, size, [arrow(0, "hard", ink.down), arrow(degrees, "easy", ink.up)], `easy and hard prompts pull at ${degrees} degrees`);
  }

  /* Bars to both sides of zero, the largest value on top. */
  function bars(svg, rows, title) {
    const width = svg.clientWidth || 340, line = 27, top = 30, left = 142, right = 40;
    const limit = Math.max(...rows.map(r => Math.abs(r.value)).filter(Number.isFinite), 1e-9);
    const zero = left + (width - left - right) / 2, unit = (width - left - right) / 2 / limit;
    const ordered = [...rows].sort((a, b) => (b.value || -1e9) - (a.value || -1e9));
    const parts = [`<text x="0" y="14" fill="${ink.ink}" font-size="13" font-weight="600">${title}</text>`, `<line x1="${zero}" x2="${zero}" y1="${top - 6}" y2="${top + line * rows.length}" stroke="${ink.muted}"/>`];
    ordered.forEach(({text, value, color}, i) => {
      const y = top + line * i, length = Math.abs(value) * unit || 0;
      parts.push(`<text x="${left - 8}" y="${y + 13}" text-anchor="end" fill="${color}" font-weight="600">${escape(text)}</text>`);
      parts.push(`<rect x="${value < 0 ? zero - length : zero}" y="${y + 2}" width="${length}" height="15" fill="${color}"/>`);
      parts.push(`<text x="${value < 0 ? zero + 5 : zero - 5}" y="${y + 14}" text-anchor="${value < 0 ? "start" : "end"}" fill="${ink.muted}">${Number.isFinite(value) ? signed(value) : "–"}</text>`);
    });
    finish(svg, width, top + line * rows.length + 6, parts, `${title}: ${ordered.map(r => r.text).join(", ")}`);
  }

  function describe() {
    const [a, t] = model.place(state.choice, state.size, state.omega);
    const where = `<p><span class="dot">${escape(label(state.choice))}</span> at asymmetry ${plain(a)}, tilt ${plain(t)}</p>`;
    if (!state.choice.name) {
      $("about").innerHTML = `${where}<p class="source">A member of a family through GRPO: correct advantages times 1 + asymmetry, wrong ones times 1 − asymmetry, and a power of the group's success that gives the tilt.</p>`;
      return;
    }
    const {links, params, source, batch} = model.byName[state.choice.name];
    const values = Object.entries(params).map(([key, value]) => `${key} = ${value}`).join(", ");
    $("about").innerHTML = `${where}<ol>${links.map(l => `<li>${l}</li>`).join("")}</ol>
      <p class="source">${values ? values + ". " : ""}${batch ? "It looks at the batch: move ω. " : ""}${source}</p>`;
  }

  // --- the group ------------------------------------------------------------------------------------------------------------
  function drawGroup() {
    const rewards = [...state.group].map(Number), size = state.size, correct = rewards.reduce((a, b) => a + b, 0);
    $("rollouts").innerHTML = rewards.map((r, i) => `<button type="button" data-i="${i}" aria-pressed="${!!r}" aria-label="rollout ${i + 1}: ${r ? "correct" : "wrong"}">${r ? "1" : "0"}</button>`).join("") +
      `<span class="note">K = ${correct} of G = ${size} correct</span>`;
    const limit = 3;
    $("rows").innerHTML = model.names(size).map(name => {
      const [plus, minus] = model.advantages({name}, size, state.omega)[correct];
      const sum = correct * plus + (size - correct) * minus, total = correct * Math.abs(plus) + (size - correct) * Math.abs(minus);
      const bars = rewards.map((r, i) => {
        const a = r ? plus : minus, h = Math.min(limit, Math.abs(a)) / limit * 15, over = Math.abs(a) > limit;
        return `<rect x="${i * 100 / size}%" width="${80 / size}%" y="${a > 0 ? 16 - h : 16}" height="${Math.max(h, 0.6)}" fill="${a > 0 ? ink.up : a < 0 ? ink.down : ink.muted}" ${over ? `stroke="${ink.ink}" stroke-width="1.5"` : ""}/>`;
      }).join("");
      const {label, source} = model.byName[name];
      const zero = Math.abs(sum) < 1e-5;
      return `<tr class="${state.choice.name === name ? "chosen" : ""}"><td><button type="button" data-name="${name}" title="${source.replaceAll('"', "&quot;")}">${escape(label)}</button></td>
        <td><svg height="32" aria-hidden="true">${bars}</svg></td><td>${correct ? signed(plus) : "–"}</td><td>${correct < size ? signed(minus) : "–"}</td>
        <td class="${zero ? "zero" : ""}">${zero ? "0" : signed(sum)}</td><td>${plain(total)}</td></tr>`;
    }).join("");
  }

  // --- drawing when something changed -----------------------------------------------------------------------------------------
  let asked = new Set(), frame = 0;
  const all = ["controls", "plane", "charts", "about", "angle", "group", "field"];
  function draw(...what) {
    (what.length ? what : all).forEach(w => asked.add(w));
    if (!frame) frame = requestAnimationFrame(now);
    writeAddress();
  }
  function now() {
    frame = 0;
    const todo = asked;
    asked = new Set();
    if (todo.has("controls")) showControls();
    if (todo.has("field")) refreshField();
    if (todo.has("plane")) drawPlane(); else placeRing();
    if (todo.has("charts")) drawCharts();
    if (todo.has("about")) describe();
    if (todo.has("angle")) drawAngle();
    if (todo.has("group")) drawGroup();
  }

  function choose(choice) {
    const before = state.choice;
    state.choice = choice;
    $("estimator").value = choice.name || "";
    draw("charts", "about", "angle", ...(before.name || choice.name ? ["group"] : []));
  }

  // --- controls -----------------------------------------------------------------------------------------------------------------
  function segments(id, options, key) {
    $(id).innerHTML = options.map(([value, text]) => `<button type="button" data-value="${value}">${text}</button>`).join("");
    $(id).addEventListener("click", event => {
      const value = event.target.dataset.value;
      if (value === undefined) return;
      state[key] = typeof state[key] === "number" ? +value : value;
      if (key === "size") {
        fitGroup();
        if (state.choice.name && !model.names(state.size).includes(state.choice.name)) state.choice = member(0, 0);
      }
      draw();
    });
  }

  function fill(id, options, key) {
    $(id).innerHTML = options.map(([value, text]) => `<option value="${value}">${escape(text)}</option>`).join("");
    $(id).addEventListener("change", event => { state[key] = +event.target.value; draw(); });
  }

  function showControls() {
    const choices = model.names(state.size).map(n => `<option value="${n}">${escape(model.byName[n].label)}</option>`);
    $("estimator").innerHTML = `<option value="">Your estimator (drag the ring)</option>${choices.join("")}`;
    $("estimator").value = state.choice.name || "";
    for (const [id, key] of [["size", "size"], ["by", "by"]]) for (const b of $(id).children) b.setAttribute("aria-pressed", String(state[key]) === b.dataset.value);
    for (const id of ["population", "rate", "k", "shift", "omega", "angle"]) $(id).value = state[id];
    $("shiftout").textContent = signed(state.shift, 1);
    $("omegaout").textContent = state.omega.toFixed(2);
    $("angleout").textContent = `${state.angle}°`;
  }

  segments("size", model.sizes.map(s => [s, s]), "size");
  segments("by", [["steps", "equal steps"], ["progress", "equal progress"]], "by");
  fill("population", model.populations.map((p, i) => [i, p.name]), "population");
  fill("rate", RATES.map(r => [r, String(round(r * model.rate, 4))]), "rate");
  fill("k", model.ks.map(k => [k, String(k)]), "k");
  Object.assign($("omega"), {min: model.omegas[0], max: model.omegas.at(-1), step: round(model.omegas[1] - model.omegas[0], 4)});
  Object.assign($("angle"), {min: 0, max: 180, step: model.angle.degrees[1]});
  for (const span of document.querySelectorAll(".anglek")) span.textContent = model.angle.k;
  $("angle").addEventListener("input", event => { state.angle = +event.target.value; draw("controls", "angle"); });
  $("omega").addEventListener("input", event => { state.omega = nearestOmega(+event.target.value); draw("controls", "plane", "charts", "about", "group"); });
  $("shift").addEventListener("input", event => { state.shift = +event.target.value; draw("controls", "charts", "field"); });
  $("estimator").addEventListener("change", event => choose(event.target.value ? {name: event.target.value} : member(...model.place(state.choice, state.size, state.omega))));
  $("rows").addEventListener("click", event => { if (event.target.dataset.name) choose({name: event.target.dataset.name}); });
  $("rollouts").addEventListener("click", event => {
    const i = event.target.dataset.i;
    if (i === undefined) return;
    state.group = [...state.group].map((r, j) => (j === +i ? String(1 - r) : r)).join("");
    draw("group");
    requestAnimationFrame(() => $("rollouts").children[i].focus());
  });
  for (const form of document.forms) form.addEventListener("submit", event => event.preventDefault());

  // --- pointer and keys on the plane ------------------------------------------------------------------------------------------------
  let dragging = false;
  const local = event => { const box = $("plane").getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const moveTo = ([x, y]) => choose(member(round(unpx(x), 3), round(unpy(y), 3)));
  const nearest = ([x, y], within) => {
    const far = d => Math.hypot(d.x - x, d.y - y) - (d.beside ? 2 : 0);
    const best = dots.reduce((a, b) => (a && far(a) <= far(b) ? a : b), null);
    return best && far(best) <= within ? best : null;
  };
  const ring = $("ring");
  let offset = [0, 0], moved = false;
  ring.addEventListener("pointerdown", event => {
    dragging = true;
    moved = false;
    ring.setPointerCapture(event.pointerId);
    const at = local(event);
    offset = [at[0] - parseFloat(ring.style.left), at[1] - parseFloat(ring.style.top)];
  });
  ring.addEventListener("pointermove", event => {
    const at = local(event);
    if (!dragging) return hint(nearest(at, 12));
    const to = [at[0] - offset[0], at[1] - offset[1]];
    if (!moved && Math.hypot(to[0] - parseFloat(ring.style.left), to[1] - parseFloat(ring.style.top)) < 3) return;
    moved = true;
    moveTo(to);
  });
  const drop = event => {
    if (!dragging) return;
    dragging = false;
    if (event.type === "pointerup" && !moved) { const dot = nearest(local(event), 12); if (dot) choose({name: dot.name}); }
  };
  ring.addEventListener("pointerup", drop);
  ring.addEventListener("pointercancel", drop);
  ring.addEventListener("keydown", event => {
    const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key] || [0, 0];
    if (event.key === "Home") choose(member(0, 0));
    else if (dx || dy) {
      const [a, t] = model.place(state.choice, state.size, state.omega), step = event.shiftKey ? 5 : 1;
      choose(member(round(a + 0.02 * step * dx, 3), round(t + 0.01 * step * dy, 3)));
    } else return;
    event.preventDefault();
  });
  $("plane").addEventListener("pointerdown", event => {
    const at = local(event), dot = nearest(at, 14);
    if (event.pointerType !== "mouse") return; // a finger may want to scroll; its tap comes as a click
    event.preventDefault();
    if (dot) return choose({name: dot.name});
    moveTo(at);
    placeRing();
    dragging = moved = true;
    offset = [0, 0];
    ring.setPointerCapture(event.pointerId);
    ring.focus({preventScroll: true});
  });
  $("plane").addEventListener("click", event => {
    if (event.pointerType === "mouse") return;
    const at = local(event), dot = nearest(at, 18);
    if (dot) choose({name: dot.name}); else moveTo(at);
  });
  $("plane").addEventListener("pointermove", event => hint(nearest(local(event), 12)));
  $("plane").addEventListener("pointerleave", () => hint(null));
  function hint(dot) {
    $("hint").classList.toggle("on", !!dot);
    if (!dot) return;
    $("hint").textContent = dot.label;
    $("hint").style.left = `${dot.x}px`;
    $("hint").style.top = `${dot.y}px`;
  }

  // --- link and pictures ----------------------------------------------------------------------------------------------------------------
  $("copy").addEventListener("click", async () => {
    history.replaceState(null, "", address());
    try { await navigator.clipboard.writeText(location.href); $("said").textContent = "Link copied."; }
    catch { $("said").textContent = "The link to this state is in the address bar."; }
  });

  /* One picture of the plane, all charts and the setting, as SVG text without style sheets. */
  function picture() {
    const svgs = ["plane", "advantages", "slope", "course", "gain", "entropy", "turning"].map($);
    const [plane, ...charts] = svgs.map(svg => svg.viewBox.baseVal), gap = 24, foot = 44;
    const cell = charts[0];
    const width = plane.width + 2 * (cell.width + gap) + 2 * gap, height = Math.max(plane.height, 3 * (cell.height + gap)) + 2 * gap + foot;
    const [a, t] = model.place(state.choice, state.size, state.omega);
    const place = i => (i ? [gap + plane.width + gap + ((i - 1) % 2) * (cell.width + gap), gap + Math.floor((i - 1) / 2) * (cell.height + gap)] : [gap, gap]);
    const nested = svgs.map((svg, i) => {
      const [x, y] = place(i), {width, height} = svg.viewBox.baseVal;
      const ringed = i ? "" : `<circle cx="${px(a)}" cy="${py(t)}" r="11" fill="none" stroke="${ink.accent}" stroke-width="3"/>`;
      return `<svg x="${x}" y="${y}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" overflow="visible">${svg.innerHTML}${ringed}</svg>`;
    });
    const said = `${label(state.choice)} (asymmetry ${plain(a)}, tilt ${plain(t)}) in colour, GRPO dashed; G = ${state.size}, ${model.populations[state.population].name}, logits moved by ${signed(state.shift, 1)}, SGD ${round(state.rate * model.rate, 4)}, ${model.steps} steps, mean field; symtheory page`;
    return {width, height, text: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-size="12" font-family="system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"><rect width="100%" height="100%" fill="${ink.paper}"/>${nested.join("")}<text x="${gap}" y="${height - gap}" fill="${ink.muted}">${escape(said)}</text></svg>`};
  }

  function save(blob, name) {
    const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    $("said").textContent = `Saved ${name}.`;
  }
  $("svg").addEventListener("click", () => save(new Blob([picture().text], {type: "image/svg+xml"}), "symmetry-plane.svg"));
  $("png").addEventListener("click", () => {
    const {width, height, text} = picture(), image = new Image();
    image.onload = () => {
      const canvas = Object.assign(document.createElement("canvas"), {width: 2 * width, height: 2 * height});
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(blob => save(blob, "symmetry-plane.png"));
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  });

  // --- begin ----------------------------------------------------------------------------------------------------------------------------------
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
  addEventListener("hashchange", () => { readAddress(); draw(); });
  new ResizeObserver(() => draw("plane", "charts", "angle")).observe($("map"));
  readColours();
  readAddress();
  draw();
  window.symtheory = {model, state, train: () => [train(state.choice), reference()]};
})();
