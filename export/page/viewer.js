/** Two linked panes of axial slices: window and level, a common cross, the values under it. */

const element = (id) => document.getElementById(id);
const ZOOM_PIXELS = 640;

/** Returns a canvas that shows a volume with a level and window of its own. */
function makePane(name, moved) {
  const canvas = element(name);
  const [level, width] = [element(`${name}-level`), element(`${name}-width`)];
  const pane = {canvas, volume: null, level, width};
  for (const input of [level, width]) input.addEventListener('input', () => moved({}));
  canvas.addEventListener('pointermove', (event) => {
    if (event.buttons & 1) {
      level.value = Math.round(Number(level.value) + event.movementY * Number(width.value) / 300);
      width.value = Math.max(1, Math.round(Number(width.value) * (1 + event.movementX / 300)));
      return moved({});
    }
    const box = canvas.getBoundingClientRect();
    const [, rows, columns] = pane.volume.shape;
    const place = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
    moved({column: place((event.clientX - box.left) / box.width, columns), row: place((event.clientY - box.top) / box.height, rows)});
  });
  return pane;
}

/** Returns the viewer; `show(source, target, windows)` puts two axial volumes of one grid into it. */
export function makeViewer() {
  const state = {slice: 0, row: 0, column: 0};
  const moved = (change) => { Object.assign(state, change); draw(); };
  const panes = ['source', 'target'].map((name) => makePane(name, moved));
  const step = {ArrowLeft: ['column', -1, 2], ArrowRight: ['column', 1, 2], ArrowUp: ['row', -1, 1], ArrowDown: ['row', 1, 1], PageUp: ['slice', 1, 0], PageDown: ['slice', -1, 0]};
  for (const {canvas} of panes) {
    canvas.addEventListener('keydown', (event) => {
      if (!step[event.key]) return;
      event.preventDefault();
      const [what, by, axis] = step[event.key];
      moved({[what]: Math.min(Math.max(state[what] + by, 0), panes[0].volume.shape[axis] - 1)});
    });
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      moved({slice: Math.min(Math.max(state.slice + Math.sign(event.deltaY), 0), panes[0].volume.shape[0] - 1)});
    }, {passive: false});
  }
  element('slice').addEventListener('input', (event) => moved({slice: Number(event.target.value) - 1}));
  element('preset').addEventListener('change', (event) => {
    [panes[1].level.value, panes[1].width.value] = event.target.value.split(' ');
    draw();
  });

  function draw() {
    panes.forEach((pane) => paint(pane, state));
    element('preset').value = `${panes[1].level.value} ${panes[1].width.value}`;  // none where it is another window
    element('slice').value = state.slice + 1;
    element('slice-number').textContent = `${state.slice + 1} of ${panes[0].volume.shape[0]}`;
  }

  return {
    show(source, target, windows) {
      [source, target].forEach((volume, index) => {
        panes[index].volume = volume;
        [panes[index].level.value, panes[index].width.value] = windows[index];
      });
      element('slice').max = source.shape[0];
      Object.assign(state, {slice: source.shape[0] >> 1, row: source.shape[1] >> 1, column: source.shape[2] >> 1});
      draw();
    },
  };
}

function paint({canvas, volume, level, width}, {slice, row, column}) {
  const [, rows, columns] = volume.shape;
  const values = volume.data.subarray(slice * rows * columns, (slice + 1) * rows * columns);
  const low = Number(level.value) - Number(width.value) / 2;
  const picture = new ImageData(columns, rows);
  values.forEach((value, index) => {
    const grey = ((value - low) / Math.max(Number(width.value), 1e-9)) * 255;
    picture.data.set([grey, grey, grey, 255], 4 * index);
  });
  const small = new OffscreenCanvas(columns, rows);
  small.getContext('2d').putImageData(picture, 0, 0);
  canvas.width = ZOOM_PIXELS;
  canvas.height = Math.round((ZOOM_PIXELS * rows * volume.spacing[1]) / (columns * volume.spacing[2]));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  mark(context, canvas, (column + 0.5) / columns, (row + 0.5) / rows);
  const value = values[row * columns + column];
  const shown = volume.modality === 'CT' ? `${Math.round(value)} HU` : value.toPrecision(4);
  document.getElementById(`${canvas.id}-value`).textContent = shown;
  canvas.setAttribute('aria-label', `${volume.modality}, axial slice ${slice + 1}; row ${row + 1}, column ${column + 1}: ${shown}`);
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
