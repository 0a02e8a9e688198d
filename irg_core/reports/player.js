// The motion player. A page has one WebGL canvas. It lies over the panels of the player that was touched last; all others
// show a still that was copied from it, since a copy a frame would take most of the time where no graphics card helps.
(() => {
"use strict";
const parents = PARENTS, sides = SIDES;  // of each joint; left 1, right -1
const LEFT = 0x1f5fbf, RIGHT = 0xd9700f, MIDDLE = 0x3a4652, PAPER = 0xf7f9fb;
const HEAD = 15, BONE = 0.032, JOINT = 0.038, SKULL = 0.1;
const FIELD_OF_VIEW = 32, AZIMUTH = 35 * Math.PI / 180, ELEVATION = 14 * Math.PI / 180;
const WIDE = 1.5;  // metres: half the ground that is shown whole; the eye follows whoever goes farther

// ---- one motion ----------------------------------------------------------------------------------------------------
function decode(panel) {
  const bytes = Uint8Array.from(atob(panel.dataset.motion), letter => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer), joints = new Float32Array(bytes.length / 2), unit = +panel.dataset.unit;
  for (let i = 0; i < joints.length; i++) joints[i] = view.getInt16(2 * i, true) * unit;
  const width = 3 * parents.length;
  return {joints, width, frames: joints.length / width, fps: +panel.dataset.fps};
}

// Joint positions at a moment in seconds, between the two frames beside it.
function pose(motion, seconds, into) {
  const at = Math.min(seconds * motion.fps, motion.frames - 1), frame = Math.floor(at + 1e-6);
  const next = Math.min(frame + 1, motion.frames - 1), share = Math.max(0, at - frame);
  const a = frame * motion.width, b = next * motion.width;
  for (let i = 0; i < motion.width; i++) into[i] = motion.joints[a + i] * (1 - share) + motion.joints[b + i] * share;
  return frame;
}

// ---- the stage that all players share ------------------------------------------------------------------------------
let stage = null;

// Where the processor draws, smooth edges halve the pictures a second.
function isSoftware() {
  const gl = document.createElement("canvas").getContext("webgl2"), about = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}

function makeStage() {
  const renderer = new THREE.WebGLRenderer({antialias: !isSoftware(), alpha: true});
  renderer.setScissorTest(true);
  renderer.domElement.className = "live";
  const scene = new THREE.Scene();
  scene.background = new THREE.Color(PAPER);
  scene.fog = new THREE.Fog(PAPER, 8, 26);
  scene.add(new THREE.HemisphereLight(0xffffff, 0x9aa4ae, 0.75));
  const sun = new THREE.DirectionalLight(0xffffff, 0.45);
  sun.position.set(2, 5, 3);
  scene.add(sun);
  const grid = floorGrid();
  scene.add(grid);

  const tube = new THREE.CylinderGeometry(1, 1, 1, 8, 1, true), ball = new THREE.SphereGeometry(1, 12, 8);
  const paint = new THREE.MeshLambertMaterial({color: 0xffffff});
  const dark = new THREE.MeshBasicMaterial({color: 0xc9d1da});
  const count = parents.length;
  const body = [new THREE.InstancedMesh(tube, paint, count), new THREE.InstancedMesh(ball, paint, count)];
  // The shadow is the same body, pressed flat upon the floor.
  const shadow = body.map(mesh => new THREE.InstancedMesh(mesh.geometry, dark, count));
  const floor = new THREE.Group();
  floor.scale.y = 1e-4;
  floor.position.y = 0.002;
  shadow.forEach((mesh, i) => { mesh.instanceMatrix = body[i].instanceMatrix; mesh.frustumCulled = false; floor.add(mesh); });
  const colour = new THREE.Color();
  body.forEach(mesh => {
    sides.forEach((side, i) => mesh.setColorAt(i, colour.setHex(side > 0 ? LEFT : side < 0 ? RIGHT : MIDDLE)));
    mesh.frustumCulled = false;
    scene.add(mesh);
  });
  scene.add(floor);
  const trail = new THREE.Mesh(undefined, new THREE.MeshBasicMaterial({color: 0x8d99a6, side: THREE.DoubleSide}));
  const way = new THREE.Mesh(undefined, new THREE.MeshBasicMaterial({color: 0xdbe1e8, side: THREE.DoubleSide}));
  const facing = new THREE.Mesh(arrow(), new THREE.MeshBasicMaterial({color: 0x1c2733, side: THREE.DoubleSide}));
  [way, trail].forEach((mesh, i) => { mesh.frustumCulled = false; mesh.position.y = 0.004 * (i + 1); scene.add(mesh); });
  scene.add(facing);
  renderer.domElement.addEventListener("webglcontextrestored", () => players.forEach(player => player.touch()));
  return {renderer, scene, owner: null, camera: new THREE.PerspectiveCamera(FIELD_OF_VIEW, 1, 0.1, 200), grid, body, trail, way, facing};
}

// Squares of half a metre. Each line is made of short pieces: long ones that run past the eye are lost in software.
function floorGrid() {
  const reach = 12, points = [];
  for (let a = -reach; a <= reach; a += 0.5)
    for (let b = -reach; b < reach; b++) points.push(a, 0, b, a, 0, b + 1, b, 0, a, b + 1, 0, a);
  const lines = new THREE.BufferGeometry();
  lines.setAttribute("position", new THREE.Float32BufferAttribute(points, 3));
  return new THREE.LineSegments(lines, new THREE.LineBasicMaterial({color: 0xd5dce4}));
}

function arrow() {
  const shape = new THREE.BufferGeometry();
  shape.setAttribute("position", new THREE.Float32BufferAttribute([-0.07, 0, 0.12, 0.07, 0, 0.12, 0, 0, 0.36], 3));
  return shape;
}

// The way of the pelvis as a ribbon on the floor, two triangles a frame.
function ribbon(motion) {
  const {joints, width, frames} = motion, half = 0.014, corners = new Float32Array(6 * frames), index = [];
  let across = [half, 0];
  for (let t = 0; t < frames; t++) {
    const a = Math.max(t - 1, 0) * width, b = Math.min(t + 1, frames - 1) * width;
    const x = joints[b] - joints[a], z = joints[b + 2] - joints[a + 2], length = Math.hypot(x, z);
    if (length > 1e-4) across = [half * z / length, -half * x / length];
    const px = joints[t * width], pz = joints[t * width + 2];
    corners.set([px + across[0], 0, pz + across[1], px - across[0], 0, pz - across[1]], 6 * t);
    if (t) index.push(2 * t - 2, 2 * t - 1, 2 * t, 2 * t, 2 * t - 1, 2 * t + 1);
  }
  const shape = new THREE.BufferGeometry();
  shape.setAttribute("position", new THREE.BufferAttribute(corners, 3));
  shape.setIndex(index);
  return shape;
}

const from = new THREE.Vector3(), to = new THREE.Vector3(), size = new THREE.Vector3(), up = new THREE.Vector3(0, 1, 0);
const turn = new THREE.Quaternion(), matrix = new THREE.Matrix4();

function setBody(joints) {
  const [tubes, balls] = stage.body;
  parents.forEach((parent, joint) => {
    to.fromArray(joints, 3 * joint);
    const radius = joint === HEAD ? SKULL : JOINT;
    balls.setMatrixAt(joint, matrix.compose(to, turn.identity(), size.setScalar(radius)));
    from.fromArray(joints, 3 * Math.max(parent, 0)).sub(to);
    const length = from.length();
    to.addScaledVector(from, 0.5);
    turn.setFromUnitVectors(up, length > 1e-6 ? from.divideScalar(length) : up);
    tubes.setMatrixAt(joint, matrix.compose(to, turn, size.set(BONE, length + 1e-6, BONE)));
  });
  stage.body.forEach(mesh => { mesh.instanceMatrix.needsUpdate = true; });
  const x = joints[3] - joints[6], z = joints[5] - joints[8];  // from the right hip to the left one
  stage.facing.position.set(joints[0], 0.012, joints[2]);
  stage.facing.rotation.y = Math.atan2(-z, x);
}

// ---- one player ----------------------------------------------------------------------------------------------------
const players = [];

function resize(width, height) {
  const {renderer} = stage, now = renderer.getSize(new THREE.Vector2());
  renderer.setPixelRatio(Math.min(devicePixelRatio || 1, 2));
  if (now.x !== width || now.y !== height) renderer.setSize(width, height, false);
}

class Player {
  constructor(figure) {
    this.figure = figure;
    this.panels = [...figure.querySelectorAll(".panel")].map(box => ({box, canvas: box.querySelector("canvas")}));
    this.find = name => figure.querySelector(name);
    this.seconds = 0;
    this.playing = this.seen = this.stale = this.following = false;
    this.home();
    this.listen();
  }

  // Motions are decoded when the player is first seen.
  open() {
    for (const panel of this.panels) {
      panel.motion = decode(panel.box);
      panel.now = new Float32Array(panel.motion.width);
      panel.way = ribbon(panel.motion);
      panel.trail = panel.way.clone();
    }
    this.fps = Math.max(...this.panels.map(panel => panel.motion.fps));
    this.length = Math.max(...this.panels.map(({motion}) => (motion.frames - 1) / motion.fps));
    this.find(".scrub").max = Math.round(this.length * this.fps);
    this.bound();
    this.follow(this.radius > Math.hypot(WIDE, 1));
  }

  // The middle and the half extent of everything that all tracks reach, so that panels compare.
  bound() {
    const low = [Infinity, 0, Infinity], high = [-Infinity, 1.2, -Infinity];
    for (const {motion: {joints}} of this.panels)
      for (let i = 0; i < joints.length; i++) {
        low[i % 3] = Math.min(low[i % 3], joints[i]);
        high[i % 3] = Math.max(high[i % 3], joints[i]);
      }
    this.middle = low.map((value, axis) => (value + high[axis]) / 2);
    this.radius = Math.hypot(...low.map((value, axis) => (high[axis] - value) / 2));
  }

  home() { this.azimuth = AZIMUTH; this.elevation = ELEVATION; this.zoom = 1; this.touch(); }
  touch() { this.stale = true; wake(); }

  // The live canvas comes to this player; the one that had it keeps a still.
  claim() {
    const owner = stage.owner;
    if (owner === this) return;
    stage.owner = this;
    if (owner) { owner.play(false); owner.touch(); }
    this.find(".panels").prepend(stage.renderer.domElement);
  }

  follow(on) { this.following = on; this.find(".follow").setAttribute("aria-pressed", on); this.touch(); }
  get frame() { return Math.min(Math.floor(this.seconds * this.fps + 1e-6), Math.round(this.length * this.fps)); }

  show(seen) {
    this.seen = seen;
    if (seen && !this.fps) this.open();
    if (seen) this.touch();
    else {
      this.panels.forEach(({canvas}) => { canvas.width = canvas.height = 0; });  // pictures take memory
      if (this.playing) this.play(false);
    }
  }

  play(on) {
    if (on && this.frame >= Math.round(this.length * this.fps)) this.seconds = 0;
    if (on) this.claim();
    this.playing = on;
    this.figure.dataset.state = on ? "playing" : "paused";
    this.find(".play").textContent = on ? "❚❚" : "▶";
    this.touch();
  }

  // Stop in a frame; counted in those of the fastest track.
  seek(frame) {
    if (!this.fps) this.open();
    this.play(false);
    this.claim();
    this.seconds = Math.min(Math.max(frame, 0), Math.round(this.length * this.fps)) / this.fps;
    this.touch();
  }

  step(elapsed) {
    if (this.playing) {
      this.seconds += elapsed * this.find(".speed").value;
      if (this.seconds > this.length + 0.5) this.seconds = 0;  // half a second to see how it ends
      this.stale = true;
    }
    if (this.stale) this.draw();
    this.stale = false;
  }

  draw() {
    const time = Math.min(this.seconds, this.length);
    for (const panel of this.panels) {
      panel.box.dataset.frame = pose(panel.motion, time, panel.now);
      panel.box.classList.toggle("ended", time > (panel.motion.frames - 1) / panel.motion.fps + 1e-6);
    }
    this.figure.dataset.frame = this.frame;
    this.figure.dataset.view = [this.azimuth, this.elevation, this.zoom].map(value => value.toFixed(2)).join(" ");
    this.find(".scrub").value = this.frame;
    this.find("output").textContent = `${time.toFixed(1)} / ${this.length.toFixed(1)} s`;
    if (stage.owner === this) this.live();
    else this.panels.forEach(panel => this.still(panel));
  }

  // All panels at once, each in its place on the canvas that lies over them.
  live() {
    const whole = this.find(".panels").getBoundingClientRect();
    resize(whole.width, whole.height);
    stage.renderer.setScissor(0, 0, whole.width, whole.height);
    stage.renderer.setClearColor(PAPER, 0);  // between the panels the page shows through
    stage.renderer.clear();
    for (const panel of this.panels) {
      const {left, bottom, width, height} = panel.canvas.getBoundingClientRect();
      this.paint(panel, left - whole.left, whole.bottom - bottom, width, height);
    }
  }

  still(panel) {
    const {canvas} = panel, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    resize(width, height);
    this.paint(panel, 0, 0, width, height);
    const drawn = stage.renderer.domElement;
    Object.assign(canvas, {width: drawn.width, height: drawn.height});
    canvas.getContext("2d").drawImage(drawn, 0, 0);
    if (stage.owner) stage.owner.stale = true;  // its picture was painted over
  }

  paint({now, way, trail, box}, left, bottom, width, height) {
    const {renderer, scene, camera, grid} = stage;
    setBody(now);
    stage.way.geometry = way;
    stage.trail.geometry = trail;
    trail.setDrawRange(0, 6 * box.dataset.frame);
    this.aim(camera, now, width / height);
    grid.position.set(Math.round(now[0]), 0, Math.round(now[2]));
    renderer.setViewport(left, bottom, width, height);
    renderer.setScissor(left, bottom, width, height);
    renderer.render(scene, camera);
  }

  aim(camera, now, aspect) {
    const [x, y, z] = this.following ? [now[0], 0.85, now[2]] : this.middle;
    const radius = this.following ? 1.15 : this.radius;
    const distance = radius / Math.sin(FIELD_OF_VIEW * Math.PI / 360) / Math.min(aspect, 1) / this.zoom;
    const flat = distance * Math.cos(this.elevation);
    camera.position.set(
      x + flat * Math.sin(this.azimuth), y + distance * Math.sin(this.elevation), z + flat * Math.cos(this.azimuth));
    camera.lookAt(x, y, z);
    camera.aspect = aspect;
    camera.updateProjectionMatrix();
    stage.scene.fog.near = distance + 3;
    stage.scene.fog.far = distance + 12;
  }

  // ---- hands -------------------------------------------------------------------------------------------------------
  listen() {
    this.find(".play").onclick = () => this.play(!this.playing);
    this.find(".scrub").oninput = event => this.seek(+event.target.value);
    this.find(".follow").onclick = () => this.follow(!this.following);
    this.find(".home").onclick = () => this.home();
    this.figure.onkeydown = event => this.key(event);
    for (const {canvas} of this.panels) {
      const fingers = new Map();
      canvas.onpointerdown = event => { fingers.set(event.pointerId, event); canvas.setPointerCapture(event.pointerId); };
      canvas.onpointerup = canvas.onpointercancel = event => fingers.delete(event.pointerId);
      canvas.onpointermove = event => this.drag(fingers, event);
      canvas.ondblclick = () => this.home();
      // The wheel belongs to the page until the player is chosen by a click.
      canvas.addEventListener("wheel", event => {
        if (!this.figure.contains(document.activeElement)) return;
        event.preventDefault();
        this.magnify(Math.exp(-event.deltaY / 600));
      }, {passive: false});
    }
  }

  drag(fingers, event) {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) {
      const other = [...fingers.values()].find(finger => finger.pointerId !== event.pointerId);
      const span = finger => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
      this.magnify(span(event) / Math.max(span(before), 1));
      return;
    }
    this.claim();
    this.azimuth -= (event.clientX - before.clientX) / 120;
    this.elevation = Math.min(1.5, Math.max(-0.05, this.elevation + (event.clientY - before.clientY) / 160));
    this.touch();
  }

  magnify(by) { this.claim(); this.zoom = Math.min(6, Math.max(0.3, this.zoom * by)); this.touch(); }

  key(event) {
    const acts = {
      " ": () => this.play(!this.playing), ArrowRight: () => this.seek(this.frame + 1),
      ArrowLeft: () => this.seek(this.frame - 1), Home: () => this.seek(0), End: () => this.seek(Infinity),
      f: () => this.follow(!this.following),
    };
    // A select and a button know their own keys.
    if (!acts[event.key] || event.target.matches("select") || (event.key === " " && event.target.matches("button"))) return;
    event.preventDefault();
    acts[event.key]();
  }
}

// ---- the one clock -------------------------------------------------------------------------------------------------
let pending = 0, last = 0;

function wake() { if (!pending && stage) pending = requestAnimationFrame(tick); }

function tick(now) {
  const elapsed = last ? Math.min((now - last) / 1000, 0.25) : 0;  // a tab that slept does not leap
  pending = 0;
  const seen = players.filter(player => player.seen);
  // Stills first: they are painted where the live picture then stays.
  seen.sort((a, b) => (a === stage.owner) - (b === stage.owner));
  seen.forEach(player => player.step(elapsed));
  last = seen.some(player => player.playing) ? now : 0;
  if (last) wake();
}

function start() {
  try { stage = makeStage(); } catch (error) { return blind(); }
  const observer = new IntersectionObserver(entries => entries.forEach(
    entry => players.find(player => player.figure === entry.target).show(entry.isIntersecting)), {rootMargin: "100px"});
  document.querySelectorAll("figure.player").forEach(figure => {
    players.push(new Player(figure));
    observer.observe(figure);
  });
  addEventListener("resize", () => players.forEach(player => player.touch()));
}

function blind() {
  document.querySelectorAll("figure.player .panel").forEach(panel => {
    panel.append(Object.assign(document.createElement("span"), {className: "blind", textContent: "This browser draws no WebGL."}));
  });
}

if (document.readyState === "loading") addEventListener("DOMContentLoaded", start); else start();
})();
