/** Two linked panes of axial slices: window and level, a common cross, the values under it, and the map of expected error. */

const element = (id) => document.getElementById(id);
const ZOOM_PIXELS = 640;
const WHEEL_PIXELS = 40;  // of turning that change the slice; a notch of a mouse has more
const LINE_PIXELS = 33;  // where a browser counts the turning in lines
const FINGER_SLICES = 24;  // that the way across an image changes at least
const HOTTEST = [255, 213, 0];  // colours of the largest expected error, and of half of it
const HALF = [214, 40, 40];
const OPAQUE = 0.75;

/** Returns a canvas that shows a volume with a level and window of its own. */
function makePane(name, state, moved) {
  const canvas = element(name);
  const [level, width] = [element(`${name}-level`), element(`${name}-width`)];
  const pane = {canvas, volume: null, level, width};
  for (const input of [level, width]) input.addEventListener('input', () => moved({}));
  const crossAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const place = (part, count) => Math.floor(part * count);
    moved({column: place((event.clientX - box.left) / box.width, pane.volume.shape[2]), row: place((event.clientY - box.top) / box.height, pane.volume.shape[1])});
  };
  let grip = {};  // where a finger came down, and the slice at that time
  canvas.addEventListener('pointerdown', (event) => {
    grip = {x: event.clientX, slice: state.slice};
    if (event.pointerType === 'mouse') canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('click', crossAt);
  canvas.addEventListener('pointermove', (event) => {
    if (event.pointerType === 'touch') {
      const slices = Math.max(pane.volume.shape[0], FINGER_SLICES);
      return moved({slice: grip.slice + Math.round(((event.clientX - grip.x) / canvas.clientWidth) * slices)});
    }
    if (!(event.buttons & 1)) return crossAt(event);
    level.value = Math.round(Number(level.value) + event.movementY * Number(width.value) / 300);
    width.value = Math.max(1, Math.round(Number(width.value) * (1 + event.movementX / 300)));
    moved({});
  });
  let turned = 0;
  canvas.addEventListener('wheel', (event) => {
    const by = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PIXELS : 1);
    const isPast = by < 0 ? state.slice === 0 : state.slice === pane.volume.shape[0] - 1;
    if (event.ctrlKey || isPast) return;  // the page is enlarged, or scrolled
    event.preventDefault();
    turned = Math.sign(by) === Math.sign(turned) ? turned + by : by;
    if (Math.abs(turned) < WHEEL_PIXELS) return;
    moved({slice: state.slice + Math.sign(turned)});
    turned = 0;
  }, {passive: false});
  return pane;
}

/** Returns the viewer; `show(source, target, windows, error)` puts two axial volumes of one grid, and a map of it, into it. */
export function makeViewer() {
  const state = {slice: 0, row: 0, column: 0};
  const moved = (change) => {
    Object.entries({...state, ...change}).forEach(([what, place]) => {
      const last = panes[0].volume.shape[['slice', 'row', 'column'].indexOf(what)] - 1;
      state[what] = Math.min(Math.max(place, 0), last);
    });
    draw();
  };
  const panes = ['source', 'target'].map((name) => makePane(name, state, moved));
  const step = {ArrowLeft: ['column', -1], ArrowRight: ['column', 1], ArrowUp: ['row', -1], ArrowDown: ['row', 1], PageUp: ['slice', 1], PageDown: ['slice', -1]};
  for (const {canvas} of panes) {
    canvas.addEventListener('keydown', (event) => {
      if (!step[event.key]) return;
      event.preventDefault();
      const [what, by] = step[event.key];
      moved({[what]: state[what] + by});
    });
  }
  element('slice').addEventListener('input', (event) => moved({slice: Number(event.target.value) - 1}));
  element('error-map').addEventListener('change', draw);
  element('preset').addEventListener('change', (event) => {
    [panes[1].level.value, panes[1].width.value] = event.target.value.split(' ');
    draw();
  });

  function draw() {
    panes.forEach((pane) => paint(pane, state, pane.error && element('error-map').checked));
    element('preset').value = `${panes[1].level.value} ${panes[1].width.value}`;  // none where it is another window
    const number = `${state.slice + 1} of ${panes[0].volume.shape[0]}`;
    element('slice').value = state.slice + 1;
    element('slice').setAttribute('aria-valuetext', number);
    element('slice-number').textContent = number;
  }

  return {
    show(source, target, windows, error) {
      [source, target].forEach((volume, index) => {
        panes[index].volume = volume;
        [panes[index].level.value, panes[index].width.value] = windows[index];
      });
      panes[1].error = error && {data: error, most: error.reduce((most, value) => Math.max(most, value), 1)};
      element('errors').hidden = !error;
      element('error-most').textContent = error ? `${Math.round(panes[1].error.most)} HU` : '';
      element('slice').max = source.shape[0];
      Object.assign(state, {slice: source.shape[0] >> 1, row: source.shape[1] >> 1, column: source.shape[2] >> 1});
      draw();
    },
  };
}

function paint({canvas, volume, level, width, error}, {slice, row, column}, isErrorShown) {
  const [, rows, columns] = volume.shape;
  const part = (array) => array.subarray(slice * rows * columns, (slice + 1) * rows * columns);
  const values = part(volume.data);
  const low = Number(level.value) - Number(width.value) / 2;
  const scale = 255 / Math.max(Number(width.value), 1e-9);
  const picture = new ImageData(columns, rows);
  for (let index = 0, at = 0; index < values.length; index++) {
    const grey = (values[index] - low) * scale;
    for (let colour = 0; colour < 3; colour++) picture.data[at++] = grey;
    picture.data[at++] = 255;
  }
  if (isErrorShown) heat(picture.data, part(error.data), error.most);
  const small = new OffscreenCanvas(columns, rows);
  small.getContext('2d').putImageData(picture, 0, 0);
  canvas.width = ZOOM_PIXELS;
  canvas.height = Math.round((ZOOM_PIXELS * rows * volume.spacing[1]) / (columns * volume.spacing[2]));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  mark(context, canvas, (column + 0.5) / columns, (row + 0.5) / rows);
  const value = values[row * columns + column];
  const unsure = isErrorShown ? `, error ${Math.round(part(error.data)[row * columns + column])} HU` : '';
  const shown = `${volume.modality === 'CT' ? `${Math.round(value)} HU` : value.toPrecision(4)}${unsure}`;
  element(`${canvas.id}-value`).textContent = shown;
  canvas.setAttribute('aria-label', `${volume.modality}, axial slice ${slice + 1}; row ${row + 1}, column ${column + 1}: ${shown}`);
}

/** Colours pixels by their expected error: nothing at 0, over red to yellow. */
function heat(pixels, errors, most) {
  errors.forEach((error, index) => {
    const share = error / most;
    const opacity = OPAQUE * Math.min(1, 2 * share);
    const beyond = Math.max(0, 2 * share - 1);
    for (let colour = 0; colour < 3; colour++) {
      const hue = HALF[colour] + beyond * (HOTTEST[colour] - HALF[colour]);
      pixels[4 * index + colour] = (1 - opacity) * pixels[4 * index + colour] + opacity * hue;
    }
  });
}

function mark(context, {width, height}, x, y) {
  context.strokeStyle = '#f9ab00';
  context.lineWidth = 1.5;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x * width + 5 * dx, y * height + 5 * dy);
    context.lineTo(x * width + 16 * dx, y * height + 16 * dy);
  }
  context.stroke();
  context.fillStyle = '#e8eaed';
  context.font = '16px system-ui, sans-serif';
  context.textAlign = 'center';
  for (const [letter, left, top] of [['R', 14, height / 2], ['L', width - 14, height / 2], ['A', width / 2, 20], ['P', width / 2, height - 8]]) {
    context.fillText(letter, left, top);
  }
}
